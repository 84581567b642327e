/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the fuzz targets: a check that stops the fuzzer, and inputs in exact allocations. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "algwatch_native.h"

enum { FUZZ_ROOM = 1 << 17 };

/* Ends the program with file and line when it does not hold. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) fuzz_failed(#condition, __FILE__, __LINE__);                             \
    } while (0)
_Noreturn void fuzz_failed(const char *what, const char *file, int line);

/* A copy of p[0..len) that nothing may be read around: under ASan an allocation of that size, else
 * memory whose end (at_end) or start touches a page that nobody may touch. Both copies may be in
 * use at a time, each until the next call with the same at_end. len is at most FUZZ_ROOM. */
uint8_t *fuzz_exact(const uint8_t *p, size_t len, int at_end);

/* A number that depends on the input alone, below `below` (which is not 0). */
size_t fuzz_pick(const uint8_t *p, size_t len, size_t below);

static inline void fuzz_inside(aw_span s, size_t len) {
    CHECK((size_t)s.off + s.len <= len);
}

/* The first span lies in the second, if both hold something. */
static inline void fuzz_within(aw_span part, aw_span whole) {
    if (!part.len) return;
    CHECK(part.off >= whole.off && part.off + part.len <= whole.off + whole.len);
}

#ifdef COUNTED
#include "counted.h"

/* Time in proportion to the length: steps (counted.h) for each byte, and for an empty input. The
 * most that tests/cost has found are 7 a byte. */
enum { FUZZ_STEPS = 16, FUZZ_FIXED = 8000 };

/* call: of the build that counts, on an input of len bytes. */
#define FUZZ_COST(call, len)                                                                       \
    do {                                                                                           \
        counted_steps();                                                                           \
        (void)(call);                                                                              \
        CHECK(counted_steps() <= (uint64_t)(len)*FUZZ_STEPS + FUZZ_FIXED);                         \
    } while (0)
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#endif
