/* Who owns a lane, as this process knows it now.
 *
 * Only the owner of a lane can append to it. What is known may be out of date by the time it is
 * read: an append to a lane that was lost fails, so a wrong answer costs a try and no event. */
#ifndef CAIRN_EVENTSTORE_STORE_OWNER_H
#define CAIRN_EVENTSTORE_STORE_OWNER_H

#include "eventstore/ownership.h"
#include "eventstore/store.h"

enum cairn_owner_where {
    CAIRN_OWNER_HERE,      /* this process: it appends */
    CAIRN_OWNER_ELSEWHERE, /* another node */
    CAIRN_OWNER_NONE       /* nobody appends now */
};

struct cairn_owner {
    enum cairn_owner_where where;
    bool claimed;                     /* of NONE: `node` is taking the lane over */
    char node[CAIRN_NODE_ID_MAX + 1]; /* NUL-ended; empty where nobody owns or claims it */
    char url[CAIRN_NODE_URL_MAX + 1]; /* of ELSEWHERE: "http://10.0.0.7:8080"; else may be empty */
    uint64_t term;                    /* how often the lane has changed hands; 0: it cannot */
    int64_t since_us;                 /* 0 where there is no owner */
};

/* lane: below the store's number of lanes. A log that one process writes has one owner: the process
 * that writes it, under the name "local", since it opened the store. thread: any; never blocks on
 * the network. */
void cairn_store_owner(struct cairn_store *store, uint16_t lane, struct cairn_owner *ret_owner);
/* This process's own name, as cairn_store_owner gives it at other nodes; NUL-ended, the store's.
 * thread: any. */
const char *cairn_store_node(const struct cairn_store *store);

#endif
