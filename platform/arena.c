#include "platform/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include "platform/mem.h"

enum { ALIGNMENT = 16 };

struct cairn_arena_chunk {
    alignas(ALIGNMENT) struct cairn_arena_chunk *older;
    size_t used; /* bytes of data */
    size_t cap;  /* bytes in data */
    alignas(ALIGNMENT) char data[];
};

static_assert(sizeof(struct cairn_arena_chunk) % ALIGNMENT == 0, "data starts aligned");

/* Bytes of data in the first chunk, and where the doubling of later ones ends. */
#define FIRST_CAP  (CAIRN_ARENA_CHUNK_BYTES - sizeof(struct cairn_arena_chunk))
#define GROWTH_MAX ((size_t)1 << 20)

static struct cairn_arena_chunk *add_chunk(struct cairn_arena *arena, size_t size)
{
    size_t cap = FIRST_CAP;
    /* Chunks double with what was used, so a large batch costs few of them. */
    while (cap < arena->used && cap < GROWTH_MAX) {
        cap *= 2;
    }
    if (cap < size) {
        cap = size;
    }
    if (cap > SIZE_MAX - sizeof(struct cairn_arena_chunk)) {
        return NULL;
    }
    struct cairn_arena_chunk *chunk = cairn_mem_alloc(sizeof(*chunk) + cap);
    if (chunk == NULL) {
        return NULL;
    }
    chunk->older = arena->first;
    chunk->used = 0;
    chunk->cap = cap;
    arena->first = chunk;
    return chunk;
}

void *cairn_arena_alloc(struct cairn_arena *arena, size_t size)
{
    assert(arena->max > 0);
    if (size > arena->max || arena->used > arena->max - size) {
        return NULL;
    }
    size_t rounded = (size + (ALIGNMENT - 1)) & ~(size_t)(ALIGNMENT - 1);
    if (rounded < size) {
        return NULL;
    }
    struct cairn_arena_chunk *chunk = arena->first;
    if (chunk == NULL || rounded > chunk->cap - chunk->used) {
        chunk = add_chunk(arena, rounded);
        if (chunk == NULL) {
            return NULL;
        }
    }
    void *memory = chunk->data + chunk->used;
    chunk->used += rounded;
    arena->used += rounded;
    assert(((uintptr_t)memory & (ALIGNMENT - 1)) == 0);
    return memory;
}

void *cairn_arena_zalloc(struct cairn_arena *arena, size_t count, size_t size)
{
    if (size != 0 && count > SIZE_MAX / size) {
        return NULL;
    }
    void *memory = cairn_arena_alloc(arena, count * size);
    if (memory != NULL) {
        memset(memory, 0, count * size);
    }
    return memory;
}

enum cairn_rc cairn_arena_copy(struct cairn_arena *arena, struct cairn_slice bytes,
                               struct cairn_slice *ret_copy)
{
    if (bytes.size == SIZE_MAX) {
        return CAIRN_ENOMEM;
    }
    char *copy = cairn_arena_alloc(arena, bytes.size + 1);
    if (copy == NULL) {
        return CAIRN_ENOMEM;
    }
    if (bytes.size > 0) {
        memcpy(copy, bytes.data, bytes.size);
    }
    copy[bytes.size] = '\0';
    *ret_copy = cairn_slice_of(copy, bytes.size);
    return CAIRN_OK;
}

char *cairn_arena_printf(struct cairn_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int wanted = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(wanted >= 0);
    char *text = cairn_arena_alloc(arena, (size_t)wanted + 1);
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)wanted + 1, format, again);
    }
    va_end(again);
    return text;
}

void cairn_arena_reset(struct cairn_arena *arena)
{
    struct cairn_arena_chunk *chunk = arena->first;
    arena->used = 0;
    if (chunk == NULL) {
        return;
    }
    while (chunk->older != NULL) {
        struct cairn_arena_chunk *older = chunk->older;
        cairn_mem_free(chunk);
        chunk = older;
    }
    /* One large first request must not pin its memory for the life of a reused arena. */
    if (chunk->cap > FIRST_CAP) {
        cairn_mem_free(chunk);
        chunk = NULL;
    } else {
        chunk->used = 0;
    }
    arena->first = chunk;
}

void cairn_arena_fini(struct cairn_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    struct cairn_arena_chunk *chunk = arena->first;
    while (chunk != NULL) {
        struct cairn_arena_chunk *older = chunk->older;
        cairn_mem_free(chunk);
        chunk = older;
    }
    arena->first = NULL;
    arena->used = 0;
}
