#include "projector/sql/claim.h"

#include <assert.h>
#include <stdio.h>

#include "platform/pg_text.h"
#include "projector/sql/store_int.h"

/* Every mark begins so; behind it stands the domain's name, and perhaps a view's. */
#define MARK_START     "Cairn: domain "
#define MARK_SIZE      (2 * CAIRN_PG_NAME_BYTES_MAX + 64)
#define SQL_BYTES_MAX  ((size_t)1024)
#define IS_TRUE(field) cairn_slice_is(field, "t")

/* ---- marks ---- */

/* view empty: of the domain's own schema. Names are letters, digits and underscores, so that they
 * may stand in a text. */
static void make_mark(struct cairn_slice domain, struct cairn_slice view, char mark[MARK_SIZE])
{
    assert(memchr(domain.data, '\'', domain.size) == NULL);
    assert(view.size == 0 || memchr(view.data, '\'', view.size) == NULL);
    (void)snprintf(mark, MARK_SIZE,
                   view.size == 0 ? MARK_START "%.*s" : MARK_START "%.*s, view %.*s",
                   CAIRN_SLICE_ARG(domain), CAIRN_SLICE_ARG(view));
}

static enum cairn_rc write_mark(struct cairn_pg *pg, struct cairn_slice schema, const char *mark,
                                struct cairn_err *err)
{
    struct cairn_pg_text text = CAIRN_PG_TEXT(SQL_BYTES_MAX);
    const char *sql = NULL;
    cairn_pg_text_add(&text, "COMMENT ON SCHEMA ");
    cairn_pg_text_add_name(&text, schema);
    cairn_pg_text_add(&text, " IS '");
    cairn_pg_text_add(&text, mark);
    cairn_pg_text_add(&text, "'");
    enum cairn_rc rc = cairn_pg_text_end(&text, &sql);
    rc = rc == CAIRN_OK ? cairn_pg_run(pg, sql, err) : CAIRN_FAIL(err, rc, "mark a schema");
    cairn_pg_text_fini(&text);
    return rc;
}

/* ---- generations ---- */

/* What the schema says of itself, whether it is a domain's own, and whether the view has such a
 * generation. */
static const char claim_sql[] =
    "SELECT coalesce(obj_description(n.oid, 'pg_namespace'), ''), EXISTS (SELECT FROM pg_class c "
    "WHERE c.relnamespace = n.oid AND c.relname = '_cairn_view'), EXISTS (SELECT FROM "
    "%s._cairn_view WHERE view = $2 AND side = $3) FROM pg_namespace n WHERE n.nspname = $1";

static enum cairn_sql_claim judge(const struct cairn_pg_result *rows, const char *mark)
{
    if (cairn_pg_result_rows(rows) == 0) {
        return CAIRN_SQL_CLAIM_NONE;
    }
    struct cairn_slice says = cairn_pg_result_value(rows, 0, 0);
    if (cairn_slice_is(says, mark)) {
        return CAIRN_SQL_CLAIM_OWN;
    }
    bool of_domain = IS_TRUE(cairn_pg_result_value(rows, 0, 1));
    bool has_row = IS_TRUE(cairn_pg_result_value(rows, 0, 2));
    return has_row && !of_domain && !cairn_slice_starts(says, cairn_slice_str(MARK_START))
               ? CAIRN_SQL_CLAIM_UNMARKED
               : CAIRN_SQL_CLAIM_FOREIGN;
}

enum cairn_rc cairn_sql_claim_read(struct cairn_pg *pg, struct cairn_slice domain,
                                   struct cairn_slice view, enum cairn_view_side side,
                                   enum cairn_sql_claim *ret_claim, struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    char mark[MARK_SIZE];
    struct cairn_pg_result *rows = NULL;
    assert(side != CAIRN_SIDE_LIVE);
    enum cairn_rc rc = cairn_sql_schema(domain, view, side, schema, err);
    const struct cairn_slice values[] = {cairn_slice_str(schema), view, cairn_sql_side_name(side)};
    rc = rc == CAIRN_OK ? cairn_sql_query_in(pg, domain, claim_sql, values, 3, &rows, err) : rc;
    if (rc == CAIRN_OK) {
        make_mark(domain, view, mark);
        *ret_claim = judge(rows, mark);
    }
    cairn_pg_result_free(rows);
    return rc;
}

enum cairn_rc cairn_sql_claim_refuse(struct cairn_slice domain, struct cairn_slice view,
                                     enum cairn_view_side side, struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    enum cairn_rc rc = cairn_sql_schema(domain, view, side, schema, err);
    return rc != CAIRN_OK
               ? rc
               : CAIRN_FAIL(err, CAIRN_EINVAL,
                            "the schema %s, which view %.*s of domain %.*s needs, is somebody "
                            "else's: rename that, or the view",
                            schema, CAIRN_SLICE_ARG(view), CAIRN_SLICE_ARG(domain));
}

enum cairn_rc cairn_sql_claim_make(struct cairn_pg *pg, struct cairn_slice domain,
                                   struct cairn_slice view, enum cairn_view_side side,
                                   struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    char mark[MARK_SIZE];
    enum cairn_sql_claim claim = CAIRN_SQL_CLAIM_NONE;
    enum cairn_rc rc = cairn_sql_claim_read(pg, domain, view, side, &claim, err);
    if (rc == CAIRN_OK && claim != CAIRN_SQL_CLAIM_NONE) {
        return cairn_sql_claim_refuse(domain, view, side, err);
    }
    rc = rc == CAIRN_OK ? cairn_sql_schema(domain, view, side, schema, err) : rc;
    if (rc != CAIRN_OK) {
        return rc;
    }
    const struct cairn_slice name = cairn_slice_str(schema);
    make_mark(domain, view, mark);
    rc = cairn_sql_run_named(pg, "CREATE SCHEMA %s", &name, 1, err);
    return rc == CAIRN_OK ? write_mark(pg, name, mark, err) : rc;
}

static enum cairn_rc mark_one(struct cairn_pg *pg, struct cairn_slice domain,
                              struct cairn_slice view, enum cairn_view_side side,
                              struct cairn_err *err)
{
    char schema[CAIRN_SQL_SCHEMA_SIZE];
    char mark[MARK_SIZE];
    enum cairn_sql_claim claim = CAIRN_SQL_CLAIM_NONE;
    enum cairn_rc rc = cairn_sql_claim_read(pg, domain, view, side, &claim, err);
    if (rc != CAIRN_OK || claim != CAIRN_SQL_CLAIM_UNMARKED) {
        return rc;
    }
    rc = cairn_sql_schema(domain, view, side, schema, err);
    make_mark(domain, view, mark);
    return rc == CAIRN_OK ? write_mark(pg, cairn_slice_str(schema), mark, err) : rc;
}

enum cairn_rc cairn_sql_claim_mark(struct cairn_pg *pg, struct cairn_slice domain,
                                   struct cairn_err *err)
{
    static const enum cairn_view_side sides[] = {CAIRN_SIDE_NEXT, CAIRN_SIDE_OLD, CAIRN_SIDE_CHECK};
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc = cairn_sql_query_in(pg, domain, "SELECT DISTINCT view FROM %s._cairn_view",
                                          NULL, 0, &rows, err);
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_pg_result_rows(rows); i++) {
        for (size_t j = 0; rc == CAIRN_OK && j < sizeof(sides) / sizeof(sides[0]); j++) {
            rc = mark_one(pg, domain, cairn_pg_result_value(rows, i, 0), sides[j], err);
        }
    }
    cairn_pg_result_free(rows);
    return rc;
}

/* ---- the domain's own ---- */

enum { DOMAIN_THERE, DOMAIN_SAYS, DOMAIN_MAY_MAKE, DOMAIN_MAY_USE, DOMAIN_ROLE };

static const char domain_sql[] =
    "SELECT n.oid IS NOT NULL, coalesce(obj_description(n.oid, 'pg_namespace'), ''), "
    "has_database_privilege(current_database(), 'CREATE'), "
    "coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_schema_privilege(n.oid, 'CREATE'), "
    "true), current_user FROM (SELECT 1) one LEFT JOIN pg_namespace n ON n.nspname = $1";

static enum cairn_rc judge_domain(const struct cairn_pg_result *rows, struct cairn_slice domain,
                                  struct cairn_err *err)
{
    char mark[MARK_SIZE];
    struct cairn_slice says = cairn_pg_result_value(rows, 0, DOMAIN_SAYS);
    struct cairn_slice role = cairn_pg_result_value(rows, 0, DOMAIN_ROLE);
    make_mark(domain, CAIRN_SLICE_NONE, mark);
    if (cairn_slice_starts(says, cairn_slice_str(MARK_START)) && !cairn_slice_is(says, mark)) {
        return CAIRN_FAIL(err, CAIRN_EINVAL,
                          "the schema %.*s is not this domain's (%.*s): rename the domain, or use "
                          "another database",
                          CAIRN_SLICE_ARG(domain), CAIRN_SLICE_ARG(says));
    }
    if (!IS_TRUE(cairn_pg_result_value(rows, 0, DOMAIN_THERE))) {
        return IS_TRUE(cairn_pg_result_value(rows, 0, DOMAIN_MAY_MAKE))
                   ? CAIRN_OK
                   : CAIRN_FAIL(err, CAIRN_EFORBIDDEN,
                                "the schema %.*s is not there, and the role %.*s may not make it: "
                                "it needs CREATE on the database",
                                CAIRN_SLICE_ARG(domain), CAIRN_SLICE_ARG(role));
    }
    return IS_TRUE(cairn_pg_result_value(rows, 0, DOMAIN_MAY_USE))
               ? CAIRN_OK
               : CAIRN_FAIL(err, CAIRN_EFORBIDDEN,
                            "the role %.*s may make nothing in the schema %.*s: it needs USAGE and "
                            "CREATE on it",
                            CAIRN_SLICE_ARG(role), CAIRN_SLICE_ARG(domain));
}

enum cairn_rc cairn_sql_claim_domain(struct cairn_pg *pg, struct cairn_slice domain,
                                     bool *ret_there, struct cairn_err *err)
{
    struct cairn_pg_result *rows = NULL;
    enum cairn_rc rc = cairn_pg_query(pg, domain_sql, &domain, 1, &rows, err);
    rc = rc == CAIRN_OK ? judge_domain(rows, domain, err) : rc;
    if (rc == CAIRN_OK) {
        *ret_there = IS_TRUE(cairn_pg_result_value(rows, 0, DOMAIN_THERE));
    }
    cairn_pg_result_free(rows);
    return rc;
}

enum cairn_rc cairn_sql_claim_make_domain(struct cairn_pg *pg, struct cairn_slice domain,
                                          struct cairn_err *err)
{
    char mark[MARK_SIZE];
    make_mark(domain, CAIRN_SLICE_NONE, mark);
    enum cairn_rc rc = cairn_sql_run_named(pg, "CREATE SCHEMA %s", &domain, 1, err);
    return rc == CAIRN_OK ? write_mark(pg, domain, mark, err) : rc;
}
