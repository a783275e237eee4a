/* The only door to the heap, so that a test can make the n-th call fail (CAIRN_FAULT_MEM).
 * All return NULL when memory is out; the caller turns that into CAIRN_ENOMEM. thread: any. */
#ifndef CAIRN_PLATFORM_MEM_H
#define CAIRN_PLATFORM_MEM_H

#include <stddef.h>

#include "platform/attr.h"

CAIRN_MUST_CHECK void *cairn_mem_alloc(size_t size);
/* count * size bytes, zeroed; NULL also where the product does not fit a size_t. */
CAIRN_MUST_CHECK void *cairn_mem_zalloc(size_t count, size_t size);
/* As realloc; on NULL the old block is untouched. size > 0. */
CAIRN_MUST_CHECK void *cairn_mem_realloc(void *memory, size_t size);
/* A NUL-ended copy of size bytes. */
CAIRN_MUST_CHECK char *cairn_mem_strndup(const char *text, size_t size);
void cairn_mem_free(void *memory);
/* Overwrite secrets in a way that the compiler keeps. */
void cairn_mem_wipe(void *memory, size_t size);

#endif
