/* SPDX-License-Identifier: Apache-2.0 */
/* LD_PRELOAD: the wall clock of 2039, on a libc whose time_t has 64 bits everywhere (musl). */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LATER 410000000 /* seconds: 13 years */

int clock_gettime(clockid_t clock, struct timespec *now) {
    long long both[2];
    if (syscall(SYS_clock_gettime64, clock, both)) return -1;
    now->tv_sec = both[0] + (clock == CLOCK_REALTIME ? LATER : 0);
    now->tv_nsec = (long)both[1];
    return 0;
}
