/* The PostgreSQL that a process was told of: its URI, and what reads from it. */
#ifndef CAIRN_TOOLS_DATABASE_H
#define CAIRN_TOOLS_DATABASE_H

#include "platform/config.h"
#include "platform/pg.h"
#include "projector/sql/read.h"

struct cairn_database {
    struct cairn_buf text; /* what --postgres names, NUL-ended */
    bool given;
    char schema[CAIRN_PG_NAME_BYTES_MAX + 1]; /* the domain's */
    struct cairn_pg_pool *pool;               /* NULL: nothing reads */
    struct cairn_sql_reader *reader;
};

/* Read --postgres. Nothing is connected. errors: ENOENT, EIO, EINVAL (file:PATH), ETOOBIG. */
CAIRN_MUST_CHECK enum cairn_rc cairn_database_init(struct cairn_database *database,
                                                   const struct cairn_config *config,
                                                   struct cairn_err *err);
void cairn_database_fini(struct cairn_database *database);
/* NULL: --postgres was not given. */
const char *cairn_database_uri(const struct cairn_database *database);
/* Make pool and reader of the domain's SQL views, where --postgres was given. errors: EINVAL (the
 * URI is none), ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_database_open_reader(struct cairn_database *database,
                                                          const struct cairn_domain *domain,
                                                          struct cairn_err *err);

#endif
