#include "platform/mem.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "platform/fault.h"

void *cairn_mem_alloc(size_t size)
{
    if (cairn_fault_hit(CAIRN_FAULT_MEM)) {
        return NULL;
    }
    return malloc(size == 0 ? 1 : size);
}

void *cairn_mem_zalloc(size_t count, size_t size)
{
    /* calloc checks the product too, but a sanitizer's stops the process over it. */
    if (cairn_fault_hit(CAIRN_FAULT_MEM) || (size != 0 && count > SIZE_MAX / size)) {
        return NULL;
    }
    return calloc(count == 0 ? 1 : count, size == 0 ? 1 : size);
}

void *cairn_mem_realloc(void *memory, size_t size)
{
    assert(size > 0);
    if (cairn_fault_hit(CAIRN_FAULT_MEM)) {
        return NULL;
    }
    return realloc(memory, size);
}

char *cairn_mem_strndup(const char *text, size_t size)
{
    char *copy = size == SIZE_MAX ? NULL : cairn_mem_alloc(size + 1);
    if (copy != NULL) {
        if (size > 0) {
            memcpy(copy, text, size);
        }
        copy[size] = '\0';
    }
    return copy;
}

void cairn_mem_free(void *memory)
{
    free(memory);
}

void cairn_mem_wipe(void *memory, size_t size)
{
    explicit_bzero(memory, size);
}
