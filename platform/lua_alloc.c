/* Memory of a host's small objects.
 *
 * A call makes some dozens of small tables and strings, and the next collection frees them. Here a
 * block of up to CAIRN_LUA_BLOCK_MAX bytes comes from a free list of its size class, filled from
 * chunks; no lock is taken, because a host has one thread. What is larger, or finds the chunks
 * full, comes from the heap. Chunks are bounded and stay until the host is freed, so a call that
 * took much leaves at most CHUNKS_BYTES_MAX behind, whatever sizes it asked for.
 *
 * Lua says the size of a block when it gives it back, so a block has no header. */
#include <assert.h>

#include "platform/lua_int.h"
#include "platform/mem.h"

/* Under the address sanitizer each block is one of the heap: overruns and leaks stay visible. */
#if defined(__SANITIZE_ADDRESS__)
#define POOLED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOLED 0
#endif
#endif
#ifndef POOLED
#define POOLED 1
#endif

enum { GRAIN = 16, CHUNK_BYTES = 64 * 1024 };

/* Each chunk is twice the one before. */
#define CHUNKS_BYTES_MAX ((((size_t)1 << CAIRN_LUA_CHUNKS_MAX) - 1) * CHUNK_BYTES)

static_assert(CAIRN_LUA_BLOCK_MAX == CAIRN_LUA_CLASSES * GRAIN, "a class for each small size");
static_assert(CHUNKS_BYTES_MAX < (size_t)32 << 20, "small beside what a host may hold");

/* A block that nobody uses. */
struct cairn_lua_block {
    struct cairn_lua_block *next;
};

static size_t class_of(size_t size)
{
    assert(size > 0 && size <= CAIRN_LUA_BLOCK_MAX);
    return (size - 1) / GRAIN;
}

/* Is the block in a chunk? The largest chunk is looked at first: it holds most. */
static bool is_pooled(const struct cairn_lua_pool *pool, const void *memory)
{
    for (size_t i = pool->count; i-- > 0;) {
        if ((uintptr_t)memory - (uintptr_t)pool->chunks[i] < (size_t)CHUNK_BYTES << i) {
            return true;
        }
    }
    return false;
}

static bool add_chunk(struct cairn_lua_pool *pool)
{
    if (!POOLED || pool->count == CAIRN_LUA_CHUNKS_MAX) {
        return false;
    }
    size_t size = (size_t)CHUNK_BYTES << pool->count;
    char *chunk = cairn_mem_alloc(size);
    if (chunk == NULL) {
        return false;
    }
    /* The end of the chunk before, shorter than a block, is left over. */
    pool->chunks[pool->count++] = chunk;
    pool->next = chunk;
    pool->left = size;
    return true;
}

static void *take(struct cairn_lua_pool *pool, size_t size)
{
    size_t index = class_of(size);
    struct cairn_lua_block *block = pool->free[index];
    if (block != NULL) {
        pool->free[index] = block->next;
        return block;
    }
    size_t whole = (index + 1) * GRAIN;
    if (pool->left < whole && !add_chunk(pool)) {
        return cairn_mem_alloc(size);
    }
    void *memory = pool->next;
    pool->next += whole;
    pool->left -= whole;
    assert((uintptr_t)memory % GRAIN == 0);
    return memory;
}

void cairn_lua_pool_put(struct cairn_lua_pool *pool, void *memory, size_t size)
{
    if (size == 0 || size > CAIRN_LUA_BLOCK_MAX || !is_pooled(pool, memory)) {
        cairn_mem_free(memory);
        return;
    }
    struct cairn_lua_block *block = memory;
    size_t index = class_of(size);
    block->next = pool->free[index];
    pool->free[index] = block;
}

void *cairn_lua_pool_resize(struct cairn_lua_pool *pool, void *memory, size_t old_size,
                            size_t new_size)
{
    assert(new_size > 0);
    if (memory == NULL) {
        return new_size > CAIRN_LUA_BLOCK_MAX ? cairn_mem_alloc(new_size) : take(pool, new_size);
    }
    bool pooled = old_size > 0 && old_size <= CAIRN_LUA_BLOCK_MAX && is_pooled(pool, memory);
    if (!pooled && new_size > CAIRN_LUA_BLOCK_MAX) {
        return cairn_mem_realloc(memory, new_size);
    }
    if (pooled && new_size <= CAIRN_LUA_BLOCK_MAX && class_of(old_size) == class_of(new_size)) {
        return memory;
    }
    void *moved = new_size > CAIRN_LUA_BLOCK_MAX ? cairn_mem_alloc(new_size) : take(pool, new_size);
    if (moved != NULL) {
        memcpy(moved, memory, old_size < new_size ? old_size : new_size);
        cairn_lua_pool_put(pool, memory, old_size);
    }
    return moved;
}

void cairn_lua_pool_fini(struct cairn_lua_pool *pool)
{
    for (size_t i = 0; i < pool->count; i++) {
        cairn_mem_free(pool->chunks[i]);
    }
    *pool = (struct cairn_lua_pool){0};
}
