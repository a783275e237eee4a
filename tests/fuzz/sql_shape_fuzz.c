/* A view's statements, as anybody may write them: whatever is said of one holds together, and what
 * is understood has none of the words that reach beyond one row. */
#include "schemas/sql_shape.h"

#include "tests/fuzz/fuzz.h"
#include "tests/support/static_text.h"

enum { INPUT_MAX = 4096, ARENA_MAX = 1 << 24 };

static const struct cairn_sql_column COLUMNS[] = {
    {TEXT("k"), TEXT("text"), true},
    {TEXT("i"), TEXT("integer"), true},
    {TEXT("n"), TEXT("bigint"), false},
    {TEXT("d"), TEXT("numeric(10,2)"), true},
    {TEXT("at"), TEXT("timestamp with time zone"), false},
    {TEXT("r"), TEXT("double precision"), false},
    {TEXT("short"), TEXT("character varying(3)"), false},
    {TEXT("Odd \"name"), TEXT("uuid"), false},
};

enum { COLUMN_COUNT = sizeof(COLUMNS) / sizeof(COLUMNS[0]), TABLE_COUNT = 3 };

static const struct cairn_sql_table TABLES[TABLE_COUNT] = {
    {.name = TEXT("t"),
     .columns = COLUMNS,
     .column_count = COLUMN_COUNT,
     .key = {0},
     .key_count = 1,
     .local = true},
    {.name = TEXT("two"),
     .columns = COLUMNS,
     .column_count = COLUMN_COUNT,
     .key = {1, 0},
     .key_count = 2,
     .local = true,
     .checked = true},
    {.name = TEXT("odd"),
     .columns = COLUMNS,
     .column_count = COLUMN_COUNT,
     .key = {7},
     .key_count = 1,
     .local = true,
     .ordered = true},
};

static struct cairn_slice type_of(struct cairn_slice name)
{
    static const struct cairn_slice types[] = {
        TEXT("text"),    TEXT("bigint"),
        TEXT("integer"), TEXT("numeric"),
        TEXT("uuid"),    TEXT("timestamp with time zone"),
        TEXT("text[]"),  TEXT("character varying"),
    };
    return types[(unsigned char)name.data[name.size - 1] % (sizeof(types) / sizeof(types[0]))];
}

static void check_words(const struct cairn_sql_statement *statement)
{
    static const char *const words[] = {"select", "returning", "using",    "nextval",
                                        "random", "default",   "truncate", "union"};
    struct cairn_sql_scan scan = cairn_sql_scan_begin(statement->source);
    struct cairn_sql_token token = {.kind = CAIRN_SQL_MARK};
    for (size_t n = 0; token.kind != CAIRN_SQL_END; n++) {
        enum cairn_rc rc = cairn_sql_scan_next(&scan, &token, NULL);
        assert(rc == CAIRN_OK && token.kind != CAIRN_SQL_SEMICOLON);
        /* Among the first five it would be the table's alias, which no server takes. */
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && n >= 5; i++) {
            assert(!cairn_sql_token_is(&token, words[i]));
        }
    }
}

static void check_shape(const struct cairn_sql_statement *statement,
                        const struct cairn_sql_shape *shape)
{
    assert((shape->text != NULL) == (shape->arrays != CAIRN_SQL_ARRAYS_NONE));
    assert(!shape->folds || shape->arrays == CAIRN_SQL_ARRAYS_ANY);
    assert(!shape->merges || (shape->folds && shape->sum_limit > 0));
    assert(statement->param_count == CAIRN_SQL_PARAMS_MAX ||
           (shape->summed | shape->lasting) >> statement->param_count == 0);
    assert((shape->summed & shape->lasting) == 0);
    assert(shape->lone == NULL || (shape->folds && shape->key_count > 0));
    if (shape->kind == CAIRN_SQL_ANYTHING) {
        assert(shape->table == SIZE_MAX && shape->text == NULL && shape->key_count == 0);
        return;
    }
    assert(shape->table < TABLE_COUNT);
    const struct cairn_sql_table *table = &TABLES[shape->table];
    assert(shape->key_count == 0 || shape->key_count == table->key_count);
    assert(!shape->folds || !(table->checked || table->ordered));
    assert(!table->ordered || shape->key_count == 0);
    for (size_t i = 0; i < shape->key_count; i++) {
        assert(shape->key[i].param < statement->param_count);
    }
    if (shape->text != NULL) {
        bool changes = shape->kind == CAIRN_SQL_CHANGE;
        assert(statement->param_count > 0 && (!changes || shape->key_count > 0));
        assert(strstr(shape->text, changes && !shape->folds ? " AS _cairn1" : " AS p") != NULL);
    }
    check_words(statement);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cairn_arena arena = {.max = ARENA_MAX};
    struct cairn_sql_statement *statements = NULL;
    size_t count = 0;
    struct cairn_err err = {0};
    struct cairn_slice source = cairn_slice_of((const char *)data, size);
    if (size <= INPUT_MAX &&
        cairn_sql_statements(source, 1, &arena, &statements, &count, &err) == CAIRN_OK) {
        for (size_t s = 0; s < count; s++) {
            struct cairn_slice types[CAIRN_SQL_PARAMS_MAX];
            struct cairn_sql_shape shape;
            for (size_t i = 0; i < statements[s].param_count; i++) {
                types[i] = type_of(statements[s].params[i]);
            }
            enum cairn_rc rc = cairn_sql_shape_read(&statements[s], types, TABLES, TABLE_COUNT,
                                                    &arena, &shape, &err);
            assert(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
            if (rc == CAIRN_OK) {
                check_shape(&statements[s], &shape);
            }
        }
    }
    cairn_arena_fini(&arena);
    return 0;
}
