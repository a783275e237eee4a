#include "platform/map.h"

#include <assert.h>

#include "platform/hash.h"
#include "platform/mem.h"

/* Linear probing over a power of two of 48-byte entries; short keys lie in the entry itself, so
 * that a probe that matches touches one place in memory. Removal shifts what follows backwards, so
 * there are no tombstones and a table in steady state never degrades. */
enum { FIRST_CAP = 16, INLINE_MAX = 24 };

/* Of 8 places at most 6 are in use: probes stay short with linear probing. */
enum { LOAD_NUMERATOR = 6, LOAD_DENOMINATOR = 8 };

#define CAP_MAX (SIZE_MAX / 2 / sizeof(struct cairn_map_entry))

struct cairn_map_entry {
    uint64_t hash; /* of the key; its lowest bit is set in an entry in use, 0 is a free place */
    uint64_t key_size;
    union cairn_map_value value;
    union {
        char small[INLINE_MAX]; /* keys up to INLINE_MAX bytes */
        char *large;            /* longer ones; owned */
    } key;
};

static_assert(sizeof(struct cairn_map_entry) == 48, "four entries in three cache lines");

static uint64_t hash_key(const struct cairn_map *map, struct cairn_slice key)
{
    return cairn_hash64_seeded(key, map->seed) | 1u;
}

/* The home of a hash: its upper bits, because the lowest one is spent on marking use. */
static size_t home_of(const struct cairn_map *map, uint64_t hash)
{
    return (size_t)(hash >> 1) & (map->cap - 1);
}

static struct cairn_slice key_of(const struct cairn_map_entry *entry)
{
    const char *data = entry->key_size <= INLINE_MAX ? entry->key.small : entry->key.large;
    return cairn_slice_of(data, (size_t)entry->key_size);
}

/* Index of the entry that holds key, or of the free place where it would go. */
static size_t probe(const struct cairn_map *map, uint64_t hash, struct cairn_slice key)
{
    assert(map->count < map->cap);
    size_t mask = map->cap - 1;
    size_t at = home_of(map, hash);
    for (;;) {
        const struct cairn_map_entry *entry = &map->entries[at];
        if (entry->hash == 0) {
            return at;
        }
        if (entry->hash == hash && cairn_slice_equal(key_of(entry), key)) {
            return at;
        }
        at = (at + 1) & mask;
    }
}

/* Move all entries to a table of twice the size; false, and nothing changed, when memory is out. */
static bool grow(struct cairn_map *map)
{
    size_t cap = map->cap == 0 ? FIRST_CAP : map->cap * 2;
    if (cap > CAP_MAX) {
        return false;
    }
    struct cairn_map_entry *entries = cairn_mem_zalloc(cap, sizeof(*entries));
    if (entries == NULL) {
        return false;
    }
    struct cairn_map old = *map;
    map->entries = entries;
    map->cap = cap;
    for (size_t i = 0; i < old.cap; i++) {
        if (old.entries[i].hash == 0) {
            continue;
        }
        size_t at = home_of(map, old.entries[i].hash);
        while (entries[at].hash != 0) {
            at = (at + 1) & (cap - 1);
        }
        entries[at] = old.entries[i];
    }
    cairn_mem_free(old.entries);
    return true;
}

static bool is_crowded(const struct cairn_map *map)
{
    return map->count + 1 > map->cap / LOAD_DENOMINATOR * LOAD_NUMERATOR;
}

union cairn_map_value *cairn_map_get(const struct cairn_map *map, struct cairn_slice key)
{
    if (map->count == 0) {
        return NULL;
    }
    struct cairn_map_entry *entry = &map->entries[probe(map, hash_key(map, key), key)];
    return entry->hash == 0 ? NULL : &entry->value;
}

/* Copy key into the entry; false when memory is out. */
static bool copy_key(struct cairn_map_entry *entry, struct cairn_slice key)
{
    if (key.size > INLINE_MAX) {
        char *large = cairn_mem_alloc(key.size);
        if (large == NULL) {
            return false;
        }
        memcpy(large, key.data, key.size);
        entry->key.large = large;
    } else if (key.size > 0) {
        memcpy(entry->key.small, key.data, key.size);
    }
    entry->key_size = key.size;
    return true;
}

union cairn_map_value *cairn_map_put(struct cairn_map *map, struct cairn_slice key, bool *ret_added)
{
    assert(map->max > 0);
    assert(key.data != NULL || key.size == 0);
    uint64_t hash = hash_key(map, key);
    size_t at = 0;
    if (map->cap > 0) {
        at = probe(map, hash, key);
        if (map->entries[at].hash != 0) {
            if (ret_added != NULL) {
                *ret_added = false;
            }
            return &map->entries[at].value;
        }
    }
    if (map->count >= map->max) {
        return NULL;
    }
    if (is_crowded(map)) {
        if (!grow(map)) {
            return NULL;
        }
        at = probe(map, hash, key);
    }
    struct cairn_map_entry *entry = &map->entries[at];
    assert(entry->hash == 0);
    if (!copy_key(entry, key)) {
        return NULL;
    }
    entry->hash = hash;
    memset(&entry->value, 0, sizeof(entry->value));
    map->count++;
    if (ret_added != NULL) {
        *ret_added = true;
    }
    return &entry->value;
}

static void free_key(struct cairn_map_entry *entry)
{
    if (entry->hash != 0 && entry->key_size > INLINE_MAX) {
        cairn_mem_free(entry->key.large);
    }
}

/* Close the gap at index `gap`: pull back each entry of the run behind it that a probe from its
 * home would no longer reach. */
static void close_gap(struct cairn_map *map, size_t gap)
{
    size_t mask = map->cap - 1;
    size_t at = gap;
    for (;;) {
        at = (at + 1) & mask;
        struct cairn_map_entry *entry = &map->entries[at];
        if (entry->hash == 0) {
            break;
        }
        size_t from_home = (at - home_of(map, entry->hash)) & mask;
        size_t from_gap = (at - gap) & mask;
        if (from_home >= from_gap) {
            map->entries[gap] = *entry;
            gap = at;
        }
    }
    memset(&map->entries[gap], 0, sizeof(map->entries[gap]));
}

bool cairn_map_remove(struct cairn_map *map, struct cairn_slice key)
{
    if (map->count == 0) {
        return false;
    }
    size_t at = probe(map, hash_key(map, key), key);
    if (map->entries[at].hash == 0) {
        return false;
    }
    free_key(&map->entries[at]);
    close_gap(map, at);
    map->count--;
    return true;
}

bool cairn_map_next(const struct cairn_map *map, size_t *cursor, struct cairn_slice *ret_key,
                    union cairn_map_value *ret_value)
{
    assert(cursor != NULL);
    while (*cursor < map->cap) {
        const struct cairn_map_entry *entry = &map->entries[(*cursor)++];
        if (entry->hash != 0) {
            if (ret_key != NULL) {
                *ret_key = key_of(entry);
            }
            if (ret_value != NULL) {
                *ret_value = entry->value;
            }
            return true;
        }
    }
    return false;
}

void cairn_map_clear(struct cairn_map *map)
{
    if (map->cap == 0) {
        return;
    }
    for (size_t i = 0; i < map->cap; i++) {
        free_key(&map->entries[i]);
    }
    memset(map->entries, 0, map->cap * sizeof(map->entries[0]));
    map->count = 0;
}

void cairn_map_fini(struct cairn_map *map)
{
    if (map == NULL) {
        return;
    }
    cairn_map_clear(map);
    cairn_mem_free(map->entries);
    map->entries = NULL;
    map->cap = 0;
}
