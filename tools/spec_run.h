/* Runs the specs of a domain folder and prints what differs: the second half of `cairn check`. */
#ifndef CAIRN_TOOLS_SPEC_RUN_H
#define CAIRN_TOOLS_SPEC_RUN_H

#include <stdio.h>

#include "command/decider.h"
#include "schemas/spec.h"

/* Orders between streams that a view's spec is tried in, beside the written one. */
#define CAIRN_SPEC_SHUFFLES 8

struct cairn_spec_runner {
    const struct cairn_domain *domain;
    struct cairn_decider decider;
    struct cairn_upcaster *upcaster;
    struct cairn_arena arena; /* of one spec */
    FILE *out;                /* where differences are printed */
    uint64_t seed;            /* of the shuffles; printed with a difference */
};

/* Specs run as they would in production, under the same ceilings. ESCRIPT, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_spec_runner_init(struct cairn_spec_runner *runner,
                                                      const struct cairn_domain *domain,
                                                      const struct cairn_lua_limits *limits,
                                                      FILE *out, struct cairn_err *err);
void cairn_spec_runner_fini(struct cairn_spec_runner *runner);
/* Run one spec. *ret_passed false: the difference has been printed. errors: ENOMEM; a script that
 * fails is a difference. */
CAIRN_MUST_CHECK enum cairn_rc cairn_spec_run(struct cairn_spec_runner *runner,
                                              const struct cairn_spec *spec, bool *ret_passed,
                                              struct cairn_err *err);

#endif
