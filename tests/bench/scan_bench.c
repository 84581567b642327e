/* SPDX-License-Identifier: Apache-2.0 */
/* FULL + SDP over a corpus (records of u32le length and bytes): totals, and nanoseconds or, under
 * callgrind, instructions a message. Usage: scan_bench CORPUS [totals|once|time] */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "algwatch_native.h"

typedef struct {
    const uint8_t *at;
    uint32_t length;
} record;

typedef struct {
    uint64_t ok, err, via, viaport, branch, recv, rport, contact, cport, ftag, ttag, callid, cseq,
        rr, rr1, clen, sdp, c, m, mport;
} totals;

static int is_sdp(const uint8_t *p, const aw_sip *s) {
    static const char name[] = "application/sdp";
    if (s->content_type.len < 15 || !s->body.len) return 0;
    for (int i = 0; i < 15; i++)
        if ((p[s->content_type.off + i] | 0x20) != name[i]) return 0;
    return 1;
}

static void read_sdp(const uint8_t *p, const aw_sip *s, totals *t) {
    aw_sdp sdp;
    if (aw_sdp_scan(p + s->body.off, s->body.len, &sdp) < 0) return;
    t->sdp++;
    t->c += sdp.address.len != 0;
    t->m += sdp.media_count;
    for (int i = 0; i < sdp.media_count; i++) {
        t->mport += sdp.media[i].port;
        t->c += sdp.media[i].address.len != 0;
    }
}

/* The values that the peers' programs read too, so that the totals can be compared. */
static void pass(const record *records, size_t n, totals *t) {
    aw_sip s;
    for (size_t k = 0; k < n; k++) {
        const uint8_t *p = records[k].at;
        if (aw_sip_scan(p, records[k].length, 0, &s) < 0) {
            t->err++;
            continue;
        }
        t->ok++;
        t->callid += s.call_id.len != 0;
        t->cseq += (uint32_t)s.cseq[0] << 16 | s.cseq[1];
        t->ftag += s.from.tag.len != 0;
        t->ttag += s.to.tag.len != 0;
        t->via += s.vias;
        for (int i = 0; i < s.vias; i++) {
            t->viaport += s.via[i].port;
            t->branch += s.via[i].branch.len != 0;
            t->recv += s.via[i].received.len != 0;
            t->rport += s.via[i].bits & AW_VIA_RPORT;
        }
        t->contact += s.contacts;
        for (int i = 0; i < s.contacts; i++) t->cport += s.contact[i].port;
        if (s.record_routes || s.routes) {
            t->rr++;
            t->rr1 += (s.record_routes ? s.record_route[0].host.len : s.route[0].host.len) != 0;
        }
        t->clen += (uint32_t)s.content_length[0] << 16 | s.content_length[1];
        if (is_sdp(p, &s)) read_sdp(p, &s, t);
    }
}

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
    enum { ROUNDS = 15 };
    const char *what = argc > 2 ? argv[2] : "time";
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (!file) return fprintf(stderr, "usage: scan_bench CORPUS [totals|once|time]\n"), 2;
    fseek(file, 0, SEEK_END);
    const size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *raw = malloc(size);
    record *records = malloc(size / 4 * sizeof *records);
    if (!raw || !records || fread(raw, 1, size, file) != size) return 1;
    size_t n = 0;
    for (size_t at = 0; at + 4 <= size; n++) {
        memcpy(&records[n].length, raw + at, 4);
        records[n].at = raw + at + 4;
        at += 4 + (size_t)records[n].length;
    }
    totals t = {0};
    if (strcmp(what, "none") != 0) pass(records, n, &t); /* "none": what loading costs */
    if (strcmp(what, "time") == 0) {
        double best = 1e30;
        for (int round = 0; round < ROUNDS; round++) {
            const double start = now();
            for (int i = 0; i < 100; i++) {
                memset(&t, 0, sizeof t);
                pass(records, n, &t);
            }
            const double took = (now() - start) / 100 / (double)n;
            if (took < best) best = took;
        }
        printf("ns/message %.1f (best of %d rounds, %zu messages)\n", best, ROUNDS, n);
    }
    print(&t);
    free(records);
    free(raw);
    fclose(file);
    return 0;
}
