#include "projector/lmdb/writeset.h"

#include <assert.h>
#include <stdlib.h>

#include "platform/hash.h"
#include "platform/mem.h"

#define ENTRIES_FIRST 256u

static_assert(CAIRN_WRITES_MAX < UINT32_MAX, "an entry number and one fits the table");

void cairn_writeset_begin(struct cairn_writeset *set, struct cairn_arena *arena)
{
    assert(arena != NULL);
    set->arena = arena;
    set->count = 0;
    set->command = 0;
    cairn_writeset_mark(set);
    if (set->table != NULL) {
        memset(set->table, 0, set->table_size * sizeof *set->table);
    }
}

/* Where the entry with that key is in the table, or the free place for it. */
static size_t find_place(const struct cairn_writeset *set, struct cairn_slice key, uint64_t hash)
{
    assert(set->table != NULL && set->table_size > 0);
    size_t mask = set->table_size - 1;
    size_t at = (size_t)hash & mask;
    while (set->table[at] != 0) {
        const struct cairn_write *entry = &set->entries[set->table[at] - 1];
        if (entry->hash == hash && cairn_slice_equal(entry->key, key)) {
            break;
        }
        at = (at + 1) & mask;
    }
    return at;
}

/* Twice the room; on failure the set is as before. */
static enum cairn_rc grow(struct cairn_writeset *set)
{
    size_t cap = set->cap == 0 ? ENTRIES_FIRST : set->cap * 2;
    if (cap > CAIRN_WRITES_MAX) {
        return CAIRN_ETOOBIG;
    }
    struct cairn_write *entries = cairn_mem_realloc(set->entries, cap * sizeof *entries);
    if (entries == NULL) {
        return CAIRN_ENOMEM;
    }
    set->entries = entries;
    uint32_t *table = cairn_mem_zalloc(cap * 2, sizeof *table);
    if (table == NULL) {
        return CAIRN_ENOMEM;
    }
    cairn_mem_free(set->table);
    set->table = table;
    set->table_size = cap * 2;
    set->cap = cap;
    for (size_t i = 0; i < set->count; i++) {
        set->table[find_place(set, entries[i].key, entries[i].hash)] = (uint32_t)i + 1;
    }
    return CAIRN_OK;
}

enum cairn_rc cairn_writeset_entry(struct cairn_writeset *set, struct cairn_slice key,
                                   struct cairn_write **ret_entry)
{
    assert(set->arena != NULL && key.size > 0);
    uint64_t hash = cairn_hash64(key);
    if (set->table != NULL) {
        uint32_t number = set->table[find_place(set, key, hash)];
        if (number != 0) {
            *ret_entry = &set->entries[number - 1];
            return CAIRN_OK;
        }
    }
    if (set->count == set->cap) {
        enum cairn_rc rc = grow(set);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    struct cairn_slice copy;
    if (cairn_arena_copy(set->arena, key, &copy) != CAIRN_OK) {
        return CAIRN_ENOMEM;
    }
    struct cairn_write *entry = &set->entries[set->count];
    *entry = (struct cairn_write){.key = copy, .hash = hash, .old_state = CAIRN_OLD_UNKNOWN};
    set->count++;
    assert(set->table != NULL);
    set->table[find_place(set, copy, hash)] = (uint32_t)set->count;
    *ret_entry = entry;
    return CAIRN_OK;
}

static enum cairn_rc grow_notes(struct cairn_writeset *set)
{
    size_t cap = set->note_cap == 0 ? ENTRIES_FIRST : set->note_cap * 2;
    struct cairn_write_note *notes = cairn_mem_realloc(set->notes, cap * sizeof *notes);
    if (notes == NULL) {
        return CAIRN_ENOMEM;
    }
    set->notes = notes;
    set->note_cap = cap;
    return CAIRN_OK;
}

enum cairn_rc cairn_writeset_note(struct cairn_writeset *set, struct cairn_write *entry)
{
    assert(entry >= set->entries && entry < set->entries + set->count);
    if (entry->noted == set->command) {
        return CAIRN_OK;
    }
    if (set->note_count == set->note_cap) {
        enum cairn_rc rc = grow_notes(set);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    set->notes[set->note_count++] =
        (struct cairn_write_note){.entry = (size_t)(entry - set->entries),
                                  .dirty = entry->dirty,
                                  .present = entry->present,
                                  .value = entry->value};
    entry->noted = set->command;
    return CAIRN_OK;
}

void cairn_writeset_undo(struct cairn_writeset *set)
{
    assert(set->note_count <= set->count);
    for (size_t i = 0; i < set->note_count; i++) {
        const struct cairn_write_note *note = &set->notes[i];
        struct cairn_write *entry = &set->entries[note->entry];
        entry->dirty = note->dirty;
        entry->present = note->present;
        entry->value = note->value;
        entry->noted = 0;
    }
    set->note_count = 0;
}

const struct cairn_write *cairn_writeset_find(const struct cairn_writeset *set,
                                              struct cairn_slice key, uint64_t hash)
{
    uint32_t number = set->table == NULL ? 0 : set->table[find_place(set, key, hash)];
    return number == 0 ? NULL : &set->entries[number - 1];
}

static int compare_entries(const void *a, const void *b)
{
    const struct cairn_write *left = a;
    const struct cairn_write *right = b;
    return cairn_slice_compare(left->key, right->key);
}

void cairn_writeset_sort(struct cairn_writeset *set)
{
    set->note_count = 0;
    if (set->count > 1) {
        qsort(set->entries, set->count, sizeof *set->entries, compare_entries);
    }
}

void cairn_writeset_fini(struct cairn_writeset *set)
{
    cairn_mem_free(set->entries);
    cairn_mem_free(set->table);
    cairn_mem_free(set->notes);
    *set = (struct cairn_writeset){0};
}
