/* Parameters of a query string: known, given once, in range. Every error is EQUERY, names the
 * parameter and says what is allowed. thread: any. */
#ifndef CAIRN_QUERY_PARAMS_H
#define CAIRN_QUERY_PARAMS_H

#include "platform/http.h"

/* Every parameter is one of names (NULL-ended) and occurs once. */
CAIRN_MUST_CHECK enum cairn_rc cairn_params_check(const struct cairn_http_request *request,
                                                  const char *const *names, struct cairn_err *err);
/* A decimal parameter in min..max; fallback where it is absent. */
CAIRN_MUST_CHECK enum cairn_rc cairn_params_number(const struct cairn_http_request *request,
                                                   const char *name, uint64_t min, uint64_t max,
                                                   uint64_t fallback, uint64_t *ret_number,
                                                   struct cairn_err *err);
/* One of choices (NULL-ended); the first where it is absent. ret_index counts in choices. */
CAIRN_MUST_CHECK enum cairn_rc cairn_params_choice(const struct cairn_http_request *request,
                                                   const char *name, const char *const *choices,
                                                   size_t *ret_index, struct cairn_err *err);

#define CAIRN_PARAMS_NAMES_MAX 16

/* A comma-separated list of names, as of event types or aggregates; none where it is absent. */
struct cairn_params_names {
    struct cairn_slice names[CAIRN_PARAMS_NAMES_MAX]; /* borrowed from the request */
    size_t count;
};
/* is_valid: the alphabet of one name. */
CAIRN_MUST_CHECK enum cairn_rc cairn_params_names_read(const struct cairn_http_request *request,
                                                       const char *name,
                                                       bool (*is_valid)(struct cairn_slice name),
                                                       struct cairn_params_names *ret_names,
                                                       struct cairn_err *err);
/* Is name in the list? An empty list holds every name. */
bool cairn_params_names_hold(const struct cairn_params_names *names, struct cairn_slice name);

#endif
