/* Whose a schema is. Names of schemas are made of a domain's and a view's, so another domain may
 * have the same one by chance: every schema that is made for a domain says so in its comment, and
 * none is used or dropped that says another thing.
 *
 * thread: the connection's owner, inside of a transaction of cairn_sql_begin_alone. Failures are
 * those of platform/pg.h. */
#ifndef CAIRN_PROJECTOR_SQL_CLAIM_H
#define CAIRN_PROJECTOR_SQL_CLAIM_H

#include "projector/sql/store.h"

enum cairn_sql_claim {
    CAIRN_SQL_CLAIM_NONE,     /* there is no such schema */
    CAIRN_SQL_CLAIM_OWN,      /* made for this view; it says so */
    CAIRN_SQL_CLAIM_UNMARKED, /* made for this view by a version that did not say so */
    CAIRN_SQL_CLAIM_FOREIGN   /* somebody else's */
};

/* Whose is the schema of a generation that is not the live one? */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_claim_read(struct cairn_pg *pg, struct cairn_slice domain,
                                                    struct cairn_slice view,
                                                    enum cairn_view_side side,
                                                    enum cairn_sql_claim *ret_claim,
                                                    struct cairn_err *err);
/* Make that schema. EINVAL: there is one, of somebody else. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_claim_make(struct cairn_pg *pg, struct cairn_slice domain,
                                                    struct cairn_slice view,
                                                    enum cairn_view_side side,
                                                    struct cairn_err *err);
/* EINVAL, with the name of the schema that is in the way. */
enum cairn_rc cairn_sql_claim_refuse(struct cairn_slice domain, struct cairn_slice view,
                                     enum cairn_view_side side, struct cairn_err *err);
/* Mark the schemas of a domain that an earlier version made. */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_claim_mark(struct cairn_pg *pg, struct cairn_slice domain,
                                                    struct cairn_err *err);

/* Can the domain's own schema be had? Outside of a transaction, too. *ret_there: it is there.
 * errors: EINVAL (it was made for a view of another domain), EFORBIDDEN (it is not there, and this
 * role may not make it, or nothing in it). */
CAIRN_MUST_CHECK enum cairn_rc cairn_sql_claim_domain(struct cairn_pg *pg,
                                                      struct cairn_slice domain, bool *ret_there,
                                                      struct cairn_err *err);
/* Make it. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_sql_claim_make_domain(struct cairn_pg *pg, struct cairn_slice domain, struct cairn_err *err);

#endif
