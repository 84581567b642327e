/* SPDX-License-Identifier: Apache-2.0 */
/* Memory between two pages that nobody may touch. */
#ifndef GUARD_H
#define GUARD_H

#include <stddef.h>
#include <stdint.h>

enum { GUARD_ROOM = 1 << 17 };

/* A copy of p[0..len) whose end (at_end) or start touches a PROT_NONE page. Valid until the next
 * call. len is at most GUARD_ROOM. */
const uint8_t *guarded(const uint8_t *p, size_t len, int at_end);

/* Ends the program with file and line when it does not hold. */
#define CHECK(condition) check_that((condition) != 0, #condition, __FILE__, __LINE__)
void check_that(int holds, const char *what, const char *file, int line);

void check_sip_file(const char *path);
void check_sip(void);
void check_frames(void);
void check_sums(void);
void check_rtp(void);
void check_ring(void);
#endif
