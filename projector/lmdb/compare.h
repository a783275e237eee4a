/* A view in LMDB, replayed into a scratch environment and held against the live one. */
#ifndef CAIRN_PROJECTOR_LMDB_COMPARE_H
#define CAIRN_PROJECTOR_LMDB_COMPARE_H

#include "projector/replay.h"

/* As cairn_view_compare, for a view in LMDB. */
CAIRN_MUST_CHECK enum cairn_rc cairn_compare_lmdb(const struct cairn_projector_options *options,
                                                  const struct cairn_domain_view *definition,
                                                  const struct cairn_compare_request *request,
                                                  const struct cairn_compare_hooks *hooks,
                                                  struct cairn_compare_report *ret_report,
                                                  struct cairn_err *err);

#endif
