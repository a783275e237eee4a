/* How SQL views fare: for GET /views, and for who waits. */
#include <assert.h>

#include "platform/pg_text.h"
#include "projector/sql/asking.h"
#include "projector/sql/generation.h"

/* More rows than these are estimated: counting them would take longer than who asks will wait. */
#define COUNT_ROWS_MAX 100000
#define SQL_BYTES_MAX  ((size_t)1024)
/* A SQLSTATE. */
#define UNDEFINED_TABLE "42P01"

static enum cairn_rc make_count(const struct cairn_sql_face *face, struct cairn_pg_text *sql,
                                const char **ret_sql)
{
    cairn_pg_text_add(sql, "SELECT CASE WHEN n > ");
    cairn_pg_text_add_number(sql, COUNT_ROWS_MAX);
    cairn_pg_text_add(sql, " THEN greatest(n, (SELECT reltuples::bigint FROM pg_class "
                           "WHERE oid = '");
    cairn_pg_text_add(sql, face->table);
    cairn_pg_text_add(sql, "'::regclass)) ELSE n END FROM (SELECT count(*) AS n FROM "
                           "(SELECT 1 FROM ");
    cairn_pg_text_add(sql, face->table);
    cairn_pg_text_add(sql, " LIMIT ");
    cairn_pg_text_add_number(sql, COUNT_ROWS_MAX + 1);
    cairn_pg_text_add(sql, ") s) c");
    return cairn_pg_text_end(sql, ret_sql);
}

static enum cairn_rc count_rows(struct cairn_sql_asking *asking, uint64_t *ret_rows,
                                struct cairn_err *err)
{
    struct cairn_pg_text text = CAIRN_PG_TEXT(SQL_BYTES_MAX);
    struct cairn_pg_result *rows = NULL;
    const char *sql = NULL;
    enum cairn_rc rc = make_count(asking->face, &text, &sql);
    rc = rc == CAIRN_OK ? cairn_pg_query(asking->pg, sql, NULL, 0, &rows, err)
                        : CAIRN_FAIL(err, rc, "count rows");
    if (rc == CAIRN_OK) {
        rc = cairn_slice_to_u64(cairn_pg_result_value(rows, 0, 0), ret_rows);
        rc = rc == CAIRN_OK ? rc : CAIRN_FAIL(err, CAIRN_ECORRUPT, "count rows");
    }
    cairn_pg_result_free(rows);
    cairn_pg_text_fini(&text);
    return rc;
}

static void fill_head(const struct cairn_sql_head *head, struct cairn_view_status *status)
{
    status->state = head->state;
    status->generation = head->generation;
    status->position = head->position;
    status->code_hash = head->hash;
    status->error = head->error;
    status->error_event = head->error_event;
    status->error_partition = head->error_partition;
    status->error_offset = head->error_offset;
    status->parked = head->parked;
}

static enum cairn_rc read_head(struct cairn_sql_asking *asking, struct cairn_slice view,
                               enum cairn_view_side side, struct cairn_arena *arena,
                               struct cairn_sql_head *ret_head, struct cairn_err *err)
{
    struct cairn_slice domain = cairn_domain_name(cairn_sql_reader_domain(asking->reader));
    return cairn_sql_head_read(asking->pg, domain, view, side, arena, ret_head, err);
}

/* What is being built, beside a live generation or for the first time. */
static enum cairn_rc fill_next(struct cairn_sql_asking *asking, bool live,
                               struct cairn_arena *arena, struct cairn_view_status *status,
                               struct cairn_err *err)
{
    struct cairn_sql_head next;
    enum cairn_rc rc = read_head(asking, status->name, CAIRN_SIDE_NEXT, arena, &next, err);
    if (rc != CAIRN_OK) {
        return rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    }
    if (!live) {
        fill_head(&next, status);
        status->state = CAIRN_VIEW_BUILDING;
    }
    status->rebuilding = live;
    status->rebuild_done = next.events;
    status->rebuild_all = next.all;
    if (next.error.size > 0) {
        status->error = next.error;
        status->error_event = next.error_event;
        status->error_partition = next.error_partition;
        status->error_offset = next.error_offset;
    }
    return cairn_sql_generation_is_locked(
        asking->pg, cairn_domain_name(cairn_sql_reader_domain(asking->reader)), status->name,
        CAIRN_SIDE_NEXT, &status->rebuild_active, err);
}

static enum cairn_rc fill_heads(struct cairn_sql_asking *asking, struct cairn_arena *arena,
                                struct cairn_view_status *status, struct cairn_err *err)
{
    struct cairn_sql_head live;
    enum cairn_rc rc = read_head(asking, status->name, CAIRN_SIDE_LIVE, arena, &live, err);
    bool there = rc == CAIRN_OK;
    if (there) {
        fill_head(&live, status);
    }
    rc = rc == CAIRN_ENOENT ? CAIRN_OK : rc;
    return rc == CAIRN_OK ? fill_next(asking, there, arena, status, err) : rc;
}

static enum cairn_rc copy_columns(const struct cairn_sql_face *face, struct cairn_arena *arena,
                                  struct cairn_view_status *status, struct cairn_err *err)
{
    struct cairn_view_column *columns =
        cairn_arena_zalloc(arena, face->column_count + 1, sizeof(*columns));
    enum cairn_rc rc = columns == NULL ? CAIRN_ENOMEM : CAIRN_OK;
    for (size_t i = 0; rc == CAIRN_OK && i < face->column_count; i++) {
        rc = cairn_arena_copy(arena, face->columns[i].name, &columns[i].name);
    }
    status->columns = columns;
    status->column_count = face->column_count;
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "read the columns of a view");
}

/* What the table of the live generation has. */
static enum cairn_rc fill_table(struct cairn_sql_asking *asking, struct cairn_arena *arena,
                                struct cairn_view_status *status, struct cairn_err *err)
{
    enum cairn_rc rc = cairn_sql_asking_look(asking, status->generation, err);
    rc = rc == CAIRN_OK ? count_rows(asking, &status->rows, err) : rc;
    return rc == CAIRN_OK ? copy_columns(asking->face, arena, status, err) : rc;
}

enum cairn_rc cairn_sql_view_status(struct cairn_sql_reader *reader, struct cairn_slice view,
                                    struct cairn_arena *arena, struct cairn_view_status *ret_status,
                                    struct cairn_err *err)
{
    struct cairn_sql_asking asking;
    struct cairn_view_status status = {.state = CAIRN_VIEW_BUILDING};
    if (cairn_arena_copy(arena, view, &status.name) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "read the state of a view");
    }
    enum cairn_rc rc = cairn_sql_asking_connect(reader, view, &asking, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = fill_heads(&asking, arena, &status, err);
    if (rc == CAIRN_OK && status.state != CAIRN_VIEW_BUILDING) {
        rc = fill_table(&asking, arena, &status, err);
    }
    cairn_sql_asking_end(&asking);
    if (rc == CAIRN_OK) {
        *ret_status = status;
    }
    return rc;
}

static struct cairn_slice nth_view(const struct cairn_sql_reader *reader, size_t n)
{
    size_t view = 0;
    while (cairn_domain_view_at(cairn_sql_reader_domain(reader), view)->kind !=
               CAIRN_VIEW_POSTGRES ||
           n-- > 0) {
        view++;
    }
    return cairn_domain_view_at(cairn_sql_reader_domain(reader), view)->name;
}

enum cairn_rc cairn_sql_reader_state(struct cairn_sql_reader *reader, size_t n,
                                     struct cairn_arena *arena,
                                     struct cairn_view_status *ret_status, struct cairn_err *err)
{
    struct cairn_err why;
    assert(n < cairn_sql_reader_count(reader));
    struct cairn_slice view = nth_view(reader, n);
    enum cairn_rc rc = cairn_sql_view_status(reader, view, arena, ret_status, &why);
    if (rc == CAIRN_OK || rc == CAIRN_ENOMEM) {
        *err = why;
        return rc;
    }
    *ret_status = (struct cairn_view_status){.name = view, .state = CAIRN_VIEW_UNAVAILABLE};
    rc = cairn_arena_copy(arena, cairn_slice_str(why.text), &ret_status->error);
    return rc == CAIRN_OK ? CAIRN_OK : CAIRN_FAIL(err, rc, "the state of a view");
}

/* Asked again and again while a request waits, so it reads no more of the row than that. */
static const char held_sql[] =
    "SELECT position, state FROM _cairn_view WHERE view = $1 AND side = 'live'";

/* rows NULL: no projector has made the table of them yet. */
static enum cairn_rc take_held(const struct cairn_pg_result *rows, struct cairn_position *ret_held,
                               bool *ret_building, bool *ret_stopped, struct cairn_err *err)
{
    bool building = rows == NULL || cairn_pg_result_rows(rows) == 0;
    if (!building &&
        cairn_position_parse(cairn_pg_result_value(rows, 0, 0), ret_held) != CAIRN_OK) {
        return CAIRN_FAIL(err, CAIRN_ECORRUPT, "the row of _cairn_view does not read");
    }
    *ret_building = building;
    *ret_stopped = !building && cairn_slice_is(cairn_pg_result_value(rows, 0, 1), "stopped");
    return CAIRN_OK;
}

enum cairn_rc cairn_sql_view_held(struct cairn_sql_reader *reader, struct cairn_slice view,
                                  struct cairn_position *ret_held, bool *ret_building,
                                  bool *ret_stopped, struct cairn_err *err)
{
    struct cairn_sql_asking asking;
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc = cairn_sql_asking_connect(reader, view, &asking, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    rc = cairn_pg_query(asking.pg, held_sql, &view, 1, &rows, err);
    if (rc == CAIRN_OK || strcmp(cairn_pg_sqlstate(asking.pg), UNDEFINED_TABLE) == 0) {
        rc = take_held(rows, ret_held, ret_building, ret_stopped, err);
    }
    cairn_pg_result_free(rows);
    cairn_sql_asking_end(&asking);
    return rc;
}
