/* SPDX-License-Identifier: Apache-2.0 */
/* The counter of counted.h. Not to be built with -fsanitize-coverage itself. */
#define COUNTED_OWN
#include "counted.h"

static uint64_t steps;

void __sanitizer_cov_trace_pc(void) {
    steps++;
}

uint64_t counted_steps(void) {
    const uint64_t done = steps;
    steps = 0;
    return done;
}

void *counted_memchr(const void *p, int c, size_t size) {
    const uint8_t *found = memchr(p, c, size);
    steps += (found ? (size_t)(found - (const uint8_t *)p) : size) / 16;
    return (void *)found;
}

int counted_memcmp(const void *a, const void *b, size_t size) {
    steps += size / 16;
    return memcmp(a, b, size);
}
