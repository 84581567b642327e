/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by every peer's program: the corpus, the clock and the totals. Each defines setup() and
 * pass(), which reads of every message what scan_bench.c reads.
 * Usage: PROGRAM CORPUS [once|none|time]
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

typedef struct {
    char *at; /* NUL-terminated, because some peers need that */
    size_t length;
} record;

typedef struct {
    uint64_t ok, err, via, viaport, branch, recv, rport, contact, cport, ftag, ttag, callid, cseq,
        rr, rr1, clen, sdp, c, m, mport;
} totals;

static void setup(void);
static void pass(const record *records, size_t n, totals *t);

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void print(const totals *t) {
#define SHOW(name) printf(" " #name "=%llu", (unsigned long long)t->name)
    printf("totals");
    SHOW(ok), SHOW(err), SHOW(via), SHOW(viaport), SHOW(branch), SHOW(recv), SHOW(rport);
    SHOW(contact), SHOW(cport), SHOW(ftag), SHOW(ttag), SHOW(callid), SHOW(cseq), SHOW(rr);
    SHOW(rr1), SHOW(clen), SHOW(sdp), SHOW(c), SHOW(m), SHOW(mport);
    printf("\n");
}

int main(int argc, char **argv) {
    const char *what = argc > 2 ? argv[2] : "time";
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    size_t n = 0, size, room;
    uint32_t length;
    record *records;
    char *raw;
    totals t;

    if (!file) return fprintf(stderr, "usage: %s CORPUS [once|none|time]\n", argv[0]), 2;
    fseek(file, 0, SEEK_END);
    size = (size_t)ftell(file);
    rewind(file);
    room = size / 4 + 1;
    raw = malloc(size * 2 + 64);
    records = malloc(room * sizeof *records);
    if (!raw || !records) return 1;
    for (char *to = raw; fread(&length, 4, 1, file) == 1; n++) {
        if (fread(to, 1, length, file) != length) return 1;
        to[length] = 0;
        records[n].at = to;
        records[n].length = length;
        to += length + 1;
    }
    fclose(file);
    setup();
    memset(&t, 0, sizeof t);
    if (strcmp(what, "none") != 0) pass(records, n, &t);
    if (strcmp(what, "time") == 0) {
        enum { ROUNDS = 5 };
        for (int round = 0; round < ROUNDS; round++) {
            const int inner = 5;
            const double start = now();
            for (int i = 0; i < inner; i++) {
                memset(&t, 0, sizeof t);
                pass(records, n, &t);
            }
            printf("ns/message %.1f\n", (now() - start) / inner / (double)n);
        }
    }
    print(&t);
    return 0;
}
