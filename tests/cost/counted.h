/* SPDX-License-Identifier: Apache-2.0 */
/* Included in front of native code that is built with -fsanitize-coverage=trace-pc: every basic
 * block that runs is a step, and so is every 16 bytes that a library function looks at. That does
 * not depend on the machine, and is in proportion to the instructions. */
#ifndef COUNTED_H
#define COUNTED_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The number of steps since the last call. */
uint64_t counted_steps(void);
void __sanitizer_cov_trace_pc(void);

void *counted_memchr(const void *p, int c, size_t size);
int counted_memcmp(const void *a, const void *b, size_t size);

#ifndef COUNTED_OWN
#define memchr counted_memchr
#define memcmp counted_memcmp
#endif
#endif
