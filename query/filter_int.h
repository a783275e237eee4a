/* Reading filters piece by piece, inside query/filter*.c. */
#ifndef CAIRN_QUERY_FILTER_INT_H
#define CAIRN_QUERY_FILTER_INT_H

#include "query/filter.h"

/* A text under reading: what has been read is cut off its front. */
struct cairn_filter_reader {
    struct cairn_slice rest;
    struct cairn_arena *arena;
    size_t parts; /* of every and and or of the query so far; 0..CAIRN_VIEW_PARTS_MAX */
};

/* Cut text off the front of what is left; false when it is not there. */
bool cairn_filter_eat(struct cairn_filter_reader *reader, const char *text);

/* Room for one more: items as it is while count < *cap, else copied into twice the room. NULL when
 * memory is out. */
CAIRN_MUST_CHECK void *cairn_filter_grow(struct cairn_arena *arena, void *items, size_t count,
                                         size_t *cap, size_t size);

/* What stands between quotes, where a backslash takes the next byte as it is: from behind the
 * opening quote to behind the closing one. errors: EQUERY, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_filter_quoted_read(struct cairn_filter_reader *reader,
                                                        struct cairn_slice *ret_value,
                                                        struct cairn_err *err);
/* An element of a list: plain up to ',' or ')' or the end, or between quotes. errors: EQUERY,
 * ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_filter_element_read(struct cairn_filter_reader *reader,
                                                         struct cairn_slice *ret_value,
                                                         struct cairn_err *err);
/* The list of in, with its parentheses, into filter. errors: EQUERY, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_filter_list_read(struct cairn_filter_reader *reader,
                                                      struct cairn_view_filter *filter,
                                                      struct cairn_err *err);

/* The value of a column's parameter, "not.eq.17": all that is left. Sets everything but the column.
 * errors: EQUERY, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_filter_test_read(struct cairn_filter_reader *reader,
                                                      struct cairn_view_filter *filter,
                                                      struct cairn_err *err);
/* The value of the parameter and, or, not.and or not.or: "(a.eq.1,or(b.is.null,c.gt.2))", all that
 * is left. name: one of those. errors: EQUERY, ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_filter_tree_read(struct cairn_filter_reader *reader,
                                                      struct cairn_slice name,
                                                      struct cairn_view_filter *filter,
                                                      struct cairn_err *err);
/* Is it one of and, or, not.and, not.or? */
bool cairn_filter_is_logic(struct cairn_slice name);

#endif
