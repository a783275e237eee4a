#include "projector/sql/hindrance.h"

#include <assert.h>
#include <stdio.h>

#include "projector/sql/store.h"

/* The tables of the live generation. */
#define LIVE_SQL                                                                                   \
    "WITH live AS (SELECT c.oid, c.reltype FROM pg_class c JOIN pg_namespace n ON "                \
    "n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY (SELECT unnest(relations) "   \
    "FROM %s._cairn_view WHERE view = $2 AND side = 'live')) "

/* A view stands on a table by its rule, a column of another table by the type of the table's rows.
 * What the tables have with each other goes with them. */
static const char standing_sql[] = LIVE_SQL
    "SELECT left(string_agg(DISTINCT coalesce(pg_describe_object('pg_class'::regclass, "
    "r.ev_class, 0), pg_describe_object(d.classid, d.objid, d.objsubid)), ', '), 160) "
    "FROM pg_depend d "
    "LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid "
    "LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid "
    "WHERE d.deptype = 'n' AND ((d.refclassid = 'pg_class'::regclass AND d.refobjid IN "
    "(SELECT oid FROM live)) OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN "
    "(SELECT reltype FROM live))) AND coalesce(r.ev_class, k.conrelid, d.objid) NOT IN "
    "(SELECT oid FROM live)";

static const char holding_sql[] =
    LIVE_SQL "SELECT left(string_agg(DISTINCT l.pid || coalesce(' (' || nullif(coalesce(nullif("
             "a.application_name, ''), a.usename), '') || ')', ''), ', '), 120) FROM pg_locks l "
             "LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.granted AND l.relation IN "
             "(SELECT oid FROM live) AND l.database = (SELECT oid FROM pg_database WHERE datname "
             "= current_database()) AND l.pid <> pg_backend_pid()";

/* SQLSTATEs. */
#define DEPENDENT_OBJECTS "2BP01"
#define LOCK_TIMEOUT      "55P03"

#define NAMES_SIZE 192

/* False: there are none, or it cannot be told. */
static bool find_names(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_slice view,
                       const char *sql, char ret_names[NAMES_SIZE])
{
    const struct cairn_slice values[] = {domain, view};
    struct cairn_pg_result *result = NULL;
    struct cairn_err ignored;
    bool found = false;
    if (cairn_sql_query_in(pg, domain, sql, values, 2, &result, &ignored) == CAIRN_OK) {
        struct cairn_slice names = cairn_pg_result_value(result, 0, 0);
        found = names.size > 0;
        (void)snprintf(ret_names, NAMES_SIZE, "%.*s", CAIRN_SLICE_ARG(names));
    }
    cairn_pg_result_free(result);
    return found;
}

enum cairn_rc cairn_sql_hindrance_tell(struct cairn_pg *pg, struct cairn_slice domain,
                                       struct cairn_slice view, const char *sqlstate,
                                       enum cairn_rc rc, struct cairn_err *err)
{
    char names[NAMES_SIZE];
    assert(rc != CAIRN_OK);
    if (cairn_pg_is_broken(pg)) {
        return rc;
    }
    if (strcmp(sqlstate, DEPENDENT_OBJECTS) == 0 &&
        find_names(pg, domain, view, standing_sql, names)) {
        return CAIRN_FAIL(
            err, rc,
            "%s stands on the live tables and would go on with the old rows (2BP01): drop it, "
            "and make it anew behind the switch",
            names);
    }
    if (strcmp(sqlstate, LOCK_TIMEOUT) == 0 && find_names(pg, domain, view, holding_sql, names)) {
        const struct cairn_err why = *err;
        return CAIRN_FAIL(err, rc, "%s; the live tables are in use by process %s", why.text, names);
    }
    return rc;
}
