/* A hash map from byte strings to pointers or numbers. Open addressing, grows by doubling up to max
 * entries. Keys are copied. Zeroed with max set is ready. thread: owner.
 *
 * Where strangers choose the keys, set seed to a random number before the first put: who cannot
 * know it cannot choose keys that collide. With seed 0 the order of a walk is the same in every
 * run. Cost: about 0.2 us a call among half a million entries, cache misses included. */
#ifndef CAIRN_PLATFORM_MAP_H
#define CAIRN_PLATFORM_MAP_H

#include "platform/bytes.h"

union cairn_map_value {
    void *pointer;
    uint64_t number;
};

struct cairn_map_entry; /* private */

struct cairn_map {
    struct cairn_map_entry *entries;
    size_t count;  /* entries in use */
    size_t cap;    /* power of two, or 0 */
    size_t max;    /* entries it may hold; > 0 */
    uint64_t seed; /* of the hash; fixed while there are entries */
};

/* The place of key's value, NULL when absent. Valid until the next put or remove. */
union cairn_map_value *cairn_map_get(const struct cairn_map *map, struct cairn_slice key);
/* The place of key's value, made (zeroed) when absent; *ret_added says so (may be NULL). NULL:
 * memory or max is out. */
CAIRN_MUST_CHECK union cairn_map_value *cairn_map_put(struct cairn_map *map, struct cairn_slice key,
                                                      bool *ret_added);
/* Remove key; false when absent. */
bool cairn_map_remove(struct cairn_map *map, struct cairn_slice key);
/* Walk: *cursor starts at 0; false at the end. The map must not change meanwhile. */
bool cairn_map_next(const struct cairn_map *map, size_t *cursor, struct cairn_slice *ret_key,
                    union cairn_map_value *ret_value);
/* Remove all entries, keep the table. */
void cairn_map_clear(struct cairn_map *map);
void cairn_map_fini(struct cairn_map *map);

#endif
