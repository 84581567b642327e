/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif

void fuzz_failed(const char *what, const char *file, int line) {
    fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
    abort();
}

#if __has_feature(address_sanitizer)

uint8_t *fuzz_exact(const uint8_t *p, size_t len, int at_end) {
    static uint8_t *copies[2];
    free(copies[at_end]);
    copies[at_end] = malloc(len);
    CHECK(copies[at_end] != NULL);
    if (len) memcpy(copies[at_end], p, len);
    return copies[at_end];
}

#else

uint8_t *fuzz_exact(const uint8_t *p, size_t len, int at_end) {
    static uint8_t *rooms[2];
    if (!rooms[at_end]) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint8_t *map = mmap(NULL, FUZZ_ROOM + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                            0);
        CHECK(map != MAP_FAILED);
        rooms[at_end] = map + page;
        CHECK(mprotect(rooms[at_end], FUZZ_ROOM, PROT_READ | PROT_WRITE) == 0);
    }
    CHECK(len <= FUZZ_ROOM);
    uint8_t *copy = at_end ? rooms[1] + FUZZ_ROOM - len : rooms[0];
    if (len) memcpy(copy, p, len);
    return copy;
}

#endif

size_t fuzz_pick(const uint8_t *p, size_t len, size_t below) {
    uint32_t state = (uint32_t)len * 2654435761u;
    for (size_t i = 0; i < len && i < 16; i++) state = (state ^ p[len - 1 - i]) * 16777619u;
    return (state >> 7) % below;
}
