/* What the simulated clients know, and what the log must then hold. */
#ifndef CAIRN_TESTS_SIM_SIM_MODEL_H
#define CAIRN_TESTS_SIM_SIM_MODEL_H

#include "command/service.h"
#include "tests/sim/sim_check.h"

#define CAIRN_SIM_DEEDS_MAX    20000
#define CAIRN_SIM_ACCOUNTS_MAX 12

enum cairn_sim_fate {
    CAIRN_SIM_OPEN,     /* never sent, or answered with an error that wrote nothing */
    CAIRN_SIM_UNKNOWN,  /* the answer was lost */
    CAIRN_SIM_ACCEPTED, /* 2xx: for ever */
    CAIRN_SIM_REFUSED   /* rejected; a later try may be accepted */
};

/* One command that a client wants carried out once. */
struct cairn_sim_deed {
    char key[24]; /* empty: without a key */
    unsigned account;
    unsigned command; /* of CAIRN_SIM_COMMANDS */
    int64_t amount;
    enum cairn_sim_fate fate;
    /* Of the first answer. */
    uint64_t version;
    uint64_t offset;
    size_t event_count;
    struct cairn_uuid first_event;
    /* Of the last walk over the log. */
    bool seen;
};

extern const char *const CAIRN_SIM_COMMANDS[4];

struct cairn_sim_model {
    struct cairn_sim_deed deeds[CAIRN_SIM_DEEDS_MAX];
    size_t count;
};

/* A client got an answer: it must agree with all that came before. */
void cairn_sim_model_answer(struct cairn_sim_model *model, struct cairn_sim_deed *deed,
                            const struct cairn_answer *answer);
/* Walk the whole log: every accepted deed is there once, as it was answered, nothing that was
 * refused is, versions are dense, and no account was ever overdrawn. */
void cairn_sim_model_check(struct cairn_sim_model *model, struct cairn_store *store);

#endif
