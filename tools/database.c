#include "tools/database.h"

#include <assert.h>
#include <stdio.h>

#include "platform/file.h"

#define URI_BYTES_MAX ((size_t)16 * 1024)
#define FILE_PREFIX   "file:"
/* Connections of the query side. */
#define POOL_MAX 16
/* Of one answer. */
#define STATEMENT_TIMEOUT_MS 5000
/* A server that stands still is noticed a little later than one that is slow. */
#define ANSWER_TIMEOUT_MS  (STATEMENT_TIMEOUT_MS + 500)
#define CONNECT_TIMEOUT_MS 2000

enum cairn_rc cairn_database_init(struct cairn_database *database,
                                  const struct cairn_config *config, struct cairn_err *err)
{
    const char *given = cairn_config_text(config, "postgres");
    *database = (struct cairn_database){.text = {.max = URI_BYTES_MAX}, .given = given != NULL};
    if (given == NULL) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = CAIRN_OK;
    if (strncmp(given, FILE_PREFIX, strlen(FILE_PREFIX)) == 0) {
        rc = cairn_file_read_value(given + strlen(FILE_PREFIX), &database->text, err);
        if (rc == CAIRN_OK && database->text.size == 0) {
            rc = CAIRN_FAIL(err, CAIRN_EINVAL, "%s is empty: it should hold a URI",
                            given + strlen(FILE_PREFIX));
        }
        rc = rc == CAIRN_OK ? CAIRN_OK : cairn_err_wrap(err, rc, "--postgres");
    } else if (cairn_buf_append_str(&database->text, given) != CAIRN_OK) {
        rc = CAIRN_FAIL(err, CAIRN_ETOOBIG, "--postgres is too long");
    }
    if (rc == CAIRN_OK && cairn_buf_append(&database->text, cairn_slice_of("", 1)) != CAIRN_OK) {
        rc = CAIRN_FAIL(err, CAIRN_ETOOBIG, "--postgres is too long");
    }
    return rc == CAIRN_OK ? cairn_pg_check_uri(cairn_database_uri(database), err) : rc;
}

void cairn_database_fini(struct cairn_database *database)
{
    cairn_sql_reader_free(database->reader);
    cairn_pg_pool_free(database->pool);
    cairn_buf_wipe(&database->text);
    *database = (struct cairn_database){.given = false};
}

const char *cairn_database_uri(const struct cairn_database *database)
{
    return database->given ? cairn_buf_slice(&database->text).data : NULL;
}

enum cairn_rc cairn_database_open_reader(struct cairn_database *database,
                                         const struct cairn_domain *domain, struct cairn_err *err)
{
    struct cairn_slice name = cairn_domain_name(domain);
    if (!database->given) {
        return CAIRN_OK;
    }
    assert(database->pool == NULL);
    if (name.size > CAIRN_PG_NAME_BYTES_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "the domain's name is too long for PostgreSQL");
    }
    (void)snprintf(database->schema, sizeof(database->schema), "%.*s", CAIRN_SLICE_ARG(name));
    const struct cairn_pg_options options = {.uri = cairn_database_uri(database),
                                             .application = "cairn query",
                                             .schema = database->schema,
                                             .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                             .statement_timeout_ms = STATEMENT_TIMEOUT_MS,
                                             .answer_timeout_ms = ANSWER_TIMEOUT_MS,
                                             .read_only = true};
    enum cairn_rc rc = cairn_pg_pool_new(&options, POOL_MAX, &database->pool, err);
    return rc == CAIRN_OK ? cairn_sql_reader_new(database->pool, domain, &database->reader, err)
                          : rc;
}
