/* The file of a view in SQL, as anyone may write it: it ends in a view within its limits, in which
 * every event finds its handler, or in a fault that names a line of the file. */
#include "schemas/sql_view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

enum { ARENA_MAX = 1 << 23, INPUT_MAX = 65536 };

static void check_handler(const struct cairn_sql_view *view,
                          const struct cairn_sql_handler *handler)
{
    assert(handler->type_count >= 1 && handler->line >= 1);
    assert(handler->statement_count >= 1);
    assert(handler->statement_count <= CAIRN_SQL_VIEW_STATEMENTS_MAX);
    for (size_t i = 0; i < handler->type_count; i++) {
        assert(cairn_sql_view_handler(view, handler->types[i]) == handler);
    }
    for (size_t i = 0; i < handler->statement_count; i++) {
        assert(handler->statements[i].line > handler->line);
    }
}

static void check_view(const struct cairn_sql_view *view)
{
    assert(cairn_slice_is(view->name, "v") && view->version >= 1);
    assert(view->key_count <= CAIRN_SQL_VIEW_KEYS_MAX);
    assert((view->key_count > 0) == (view->key_line > 0));
    assert(view->table_count >= 1 && view->table_count <= CAIRN_SQL_VIEW_STATEMENTS_MAX);
    assert(view->created_count >= 1 && view->created_count <= view->table_count);
    assert(cairn_sql_view_table(view, view->name) != NULL);
    for (size_t i = 0; i < view->table_count; i++) {
        assert(view->tables[i].param_count == 0);
    }
    for (size_t i = 0; i < view->created_count; i++) {
        assert(view->created[i].name.size <= CAIRN_SQL_TABLE_BYTES_MAX);
    }
    assert(view->handler_count >= 1 && view->handler_count <= CAIRN_SQL_VIEW_HANDLERS_MAX);
    for (size_t i = 0; i < view->handler_count; i++) {
        check_handler(view, &view->handlers[i]);
    }
}

/* "line N: " with a line that the file has. */
static void check_fault(const struct cairn_err *err, struct cairn_slice source)
{
    unsigned long lines = 1;
    for (size_t i = 0; i < source.size; i++) {
        lines += source.data[i] == '\n' ? 1 : 0;
    }
    assert(strncmp(err->text, "line ", 5) == 0);
    unsigned long line = strtoul(err->text + 5, NULL, 10);
    assert(line >= 1 && line <= lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_slice source = cairn_slice_of((const char *)data, size);
    struct cairn_sql_view view;
    struct cairn_err err = {0};
    if (size > INPUT_MAX) {
        return 0;
    }
    enum cairn_rc rc = cairn_sql_view_read(CAIRN_SLICE_LIT("v"), source, &arena, &view, &err);
    if (rc == CAIRN_OK) {
        check_view(&view);
    } else {
        assert(rc == CAIRN_EINVAL || rc == CAIRN_EMALFORMED || rc == CAIRN_ETOOBIG);
        check_fault(&err, source);
    }
    cairn_arena_fini(&arena);
    return 0;
}
