#include "projector/sql/owner.h"

/* Is this part of the key the same text of the envelope in each statement on the table? Other types
 * have several texts for a value, and so one row for several streams. */
static bool is_bound(size_t table, const struct cairn_sql_shape *shapes,
                     const struct cairn_sql_source *const *sources, size_t count, size_t part,
                     enum cairn_sql_origin origin)
{
    bool bound = true;
    for (size_t i = 0; bound && i < count; i++) {
        const struct cairn_sql_key_part *key = &shapes[i].key[part];
        bound = shapes[i].table != table ||
                (part < shapes[i].key_count && key->type == CAIRN_SQL_KEY_TEXT &&
                 sources[i][key->param].origin == origin);
    }
    return bound;
}

enum cairn_sql_owner cairn_sql_owner(size_t table, const struct cairn_sql_shape *shapes,
                                     const struct cairn_sql_source *const *sources, size_t count)
{
    static const struct {
        enum cairn_sql_origin origin;
        enum cairn_sql_owner owner;
    } owners[] = {{CAIRN_SQL_FROM_STREAM, CAIRN_SQL_OF_STREAM},
                  {CAIRN_SQL_FROM_AGGREGATE_ID, CAIRN_SQL_OF_ID}};
    for (size_t i = 0; i < sizeof(owners) / sizeof(owners[0]); i++) {
        for (size_t part = 0; part < CAIRN_SQL_KEY_COLUMNS_MAX; part++) {
            if (is_bound(table, shapes, sources, count, part, owners[i].origin)) {
                return owners[i].owner;
            }
        }
    }
    return CAIRN_SQL_OF_ANYBODY;
}
