/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "guard.h"

const uint8_t *guarded(const uint8_t *p, size_t len, int at_end) {
    static uint8_t *room;
    if (!room) {
        const size_t page = (size_t)sysconf(_SC_PAGESIZE);
        uint8_t *map = mmap(NULL, GUARD_ROOM + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                            0);
        CHECK(map != MAP_FAILED);
        room = map + page;
        CHECK(mprotect(room, GUARD_ROOM, PROT_READ | PROT_WRITE) == 0);
    }
    CHECK(len <= GUARD_ROOM);
    uint8_t *copy = at_end ? room + GUARD_ROOM - len : room;
    if (len) memcpy(copy, p, len);
    return copy;
}

void check_that(int holds, const char *what, const char *file, int line) {
    if (holds) return;
    fprintf(stderr, "%s:%d: %s does not hold\n", file, line, what);
    exit(1);
}
