#include <stdio.h>

#include "tools/check_sql.h"
#include "tools/database.h"
#include "tools/node.h"
#include "tools/spec_run.h"
#include "tools/verbs.h"

#define ARENA_BYTES_MAX ((size_t)256 << 20)

/* Prints the faults; returns how many. */
static size_t print_faults(const struct cairn_slice *faults, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        (void)printf("%.*s\n", CAIRN_SLICE_ARG(faults[i]));
    }
    return count;
}

static enum cairn_rc run_specs(const struct cairn_domain *domain,
                               const struct cairn_lua_limits *limits,
                               const struct cairn_spec *specs, size_t count, size_t *ret_failed,
                               struct cairn_err *err)
{
    struct cairn_spec_runner runner;
    size_t failed = 0;
    enum cairn_rc rc = cairn_spec_runner_init(&runner, domain, limits, stdout, err);
    for (size_t i = 0; rc == CAIRN_OK && i < count; i++) {
        bool passed = false;
        rc = cairn_spec_run(&runner, &specs[i], &passed, err);
        failed += !passed;
    }
    cairn_spec_runner_fini(&runner);
    *ret_failed = failed;
    return rc;
}

static enum cairn_rc check_specs(const struct cairn_domain *domain,
                                 const struct cairn_lua_limits *limits, struct cairn_arena *arena,
                                 size_t *ret_faults, struct cairn_err *err)
{
    struct cairn_spec *specs = NULL;
    struct cairn_slice *faults = NULL;
    size_t count = 0;
    size_t fault_count = 0;
    size_t failed = 0;
    enum cairn_rc rc = cairn_specs_load(domain, arena, &specs, &count, &faults, &fault_count, err);
    if (rc == CAIRN_OK) {
        (void)print_faults(faults, fault_count);
        rc = run_specs(domain, limits, specs, count, &failed, err);
    }
    if (rc == CAIRN_OK) {
        (void)printf("%.*s: %zu aggregates, %zu commands, %zu events, %zu views; specs: %zu "
                     "passed, %zu failed\n",
                     CAIRN_SLICE_ARG(cairn_domain_name(domain)),
                     cairn_domain_aggregate_count(domain), cairn_domain_command_count(domain),
                     cairn_domain_event_count(domain), cairn_domain_view_count(domain),
                     count - failed, failed);
        *ret_faults = fault_count + failed;
    }
    return rc;
}

static enum cairn_rc prepare_sql(const struct cairn_domain *domain,
                                 const struct cairn_config *config, size_t *ret_faults,
                                 struct cairn_err *err)
{
    struct cairn_database database;
    enum cairn_rc rc = cairn_database_init(&database, config, err);
    rc = rc == CAIRN_OK ? cairn_check_sql(domain, cairn_database_uri(&database), ret_faults, err)
                        : rc;
    cairn_database_fini(&database);
    return rc;
}

int cairn_verb_check(const struct cairn_config *config, struct cairn_err *err)
{
    const char *folder = cairn_config_operand(config, 0);
    struct cairn_lua_limits limits = cairn_node_lua_limits(config);
    struct cairn_arena arena = {.max = ARENA_BYTES_MAX};
    struct cairn_domain *domain = NULL;
    struct cairn_slice *faults = NULL;
    size_t count = 0;
    size_t refused = 0;
    enum cairn_rc rc = cairn_domain_lint(folder, &arena, &faults, &count, err);
    count = rc == CAIRN_OK ? print_faults(faults, count) : 0;
    if (rc == CAIRN_OK && count == 0) {
        rc = cairn_domain_load(folder, &domain, err);
        rc = rc == CAIRN_OK ? prepare_sql(domain, config, &refused, err) : rc;
        rc = rc == CAIRN_OK ? check_specs(domain, &limits, &arena, &count, err) : rc;
        count += refused;
    }
    cairn_domain_free(domain);
    cairn_arena_fini(&arena);
    if (rc == CAIRN_OK && count > 0) {
        /* Each was told; what the last of them left behind would be told again, without its file.
         */
        (void)CAIRN_FAIL(err, CAIRN_EINVAL, "%s has %zu %s", folder, count,
                         count == 1 ? "fault" : "faults");
    }
    return rc == CAIRN_OK && count == 0 ? 0 : 1;
}
