/* An arena: many small allocations that die together. One request or one batch is one arena.
 *
 * Memory comes in chunks; cairn_arena_reset keeps the first chunk (of the usual size), so a reused
 * arena stops touching the heap. A zeroed arena with max set is ready. Everything handed out is
 * aligned to 16 bytes. thread: owner. */
#ifndef CAIRN_PLATFORM_ARENA_H
#define CAIRN_PLATFORM_ARENA_H

#include <stddef.h>

#include "platform/bytes.h"

#define CAIRN_ARENA_CHUNK_BYTES ((size_t)16 * 1024)

struct cairn_arena_chunk;

struct cairn_arena {
    struct cairn_arena_chunk *first; /* newest chunk; owned */
    size_t used;                     /* bytes handed out since the last reset, all chunks */
    size_t max;                      /* bytes it may hand out between resets; > 0 */
};

/* size bytes, or NULL when memory or max is out. Valid until reset or fini. */
CAIRN_MUST_CHECK void *cairn_arena_alloc(struct cairn_arena *arena, size_t size);
/* count * size bytes, zeroed. */
CAIRN_MUST_CHECK void *cairn_arena_zalloc(struct cairn_arena *arena, size_t count, size_t size);
/* Copy bytes into the arena (with a NUL behind, not counted). ENOMEM. */
CAIRN_MUST_CHECK enum cairn_rc cairn_arena_copy(struct cairn_arena *arena, struct cairn_slice bytes,
                                                struct cairn_slice *ret_copy);
/* A NUL-ended formatted string, or NULL. */
CAIRN_MUST_CHECK char *cairn_arena_printf(struct cairn_arena *arena, const char *format, ...)
    CAIRN_PRINTF(2, 3);
/* Forget everything; keeps at most CAIRN_ARENA_CHUNK_BYTES for the next round. */
void cairn_arena_reset(struct cairn_arena *arena);
void cairn_arena_fini(struct cairn_arena *arena);

#endif
