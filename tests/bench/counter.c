/* SPDX-License-Identifier: Apache-2.0 */
/* Count instructions of a part of a Python program, run by callgrind with --collect-atstart=no. */
#include <stdio.h>
#include <valgrind/callgrind.h>

void toggle(void) {
    CALLGRIND_TOGGLE_COLLECT;
}

/* Write out what was counted since the last dump, under a number. */
void dump(int number) {
    char name[16];
    snprintf(name, sizeof name, "%d", number);
    CALLGRIND_DUMP_STATS_AT(name);
}
