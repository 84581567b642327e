/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations that the files of the SIP scanner share, lowest first. Not part of the contract with
 * Python. */
#ifndef AW_SCAN_H
#define AW_SCAN_H

#include "chars.h"

/* The parts of a URI. */
typedef struct {
    aw_span user, host, params;
    uint16_t port, bits; /* bits: aw_addr_bits */
    int bad, query;      /* query: it has a '?' */
} aw_uri;

/* Sets the bit, and where it was for the first time. */
static inline void flag(aw_sip *s, unsigned bit, size_t at) {
    uint16_t *word = &s->anomalies[bit >> 4];
    const uint16_t mask = (uint16_t)(1u << (bit & 15));
    if (*word & mask) return;
    *word = (uint16_t)(*word | mask);
    s->anomaly_at[bit] = (uint16_t)at;
}

#pragma GCC visibility push(hidden)

void aw_scan_uri(const uint8_t *p, size_t i, size_t end, aw_uri *out);
/* One name-addr or addr-spec with its parameters. */
void aw_scan_addr(const uint8_t *p, size_t i, size_t end, aw_addr *a, aw_sip *s);
void aw_scan_addrs(const uint8_t *p, size_t i, size_t end, aw_addr *list, uint16_t *count,
                   unsigned limit, aw_sip *s);
void aw_scan_vias(const uint8_t *p, size_t i, size_t end, aw_sip *s);

/* The plain way of writing: no comment, no fold but in front of a parameter, no white space where
 * none is needed, nothing wrong. These read a value where it stands, in one pass, without the end
 * of the line known, and must give the result of their counterparts above. p[known - 2] is a line
 * feed, at or behind i. They return the index of the ',' or CR behind the value, or 0 when it is
 * not of that kind; then their output has no meaning. */
size_t aw_plain_via(const uint8_t *p, size_t i, size_t known, aw_via *v);
size_t aw_plain_addr(const uint8_t *p, size_t i, size_t known, aw_addr *a);
/* A sip: or tel: URI: its parts into *a. Returns the index of the byte that stopped it, 0 when it
 * is not plain. */
size_t aw_plain_uri(const uint8_t *p, size_t i, size_t limit, aw_addr *a);

enum { AW_LINE_NO, AW_LINE_REQUEST, AW_LINE_RESPONSE };
/* Is p[i..end) a SIP start line (end: its line end)? With out it is also read into *out. */
int aw_scan_start_line(const uint8_t *p, size_t i, size_t end, aw_sip *out);
/* As aw_scan_start_line, but AW_LINE_NO for every line that is not plain. p[end] is its line end.
 */
int aw_plain_start_line(const uint8_t *p, size_t i, size_t end, aw_sip *s);
/* Could p[0..len), which holds no line end, become a SIP start line? 2: the URI or the version
 * has been seen. */
int aw_may_become_sip(const uint8_t *p, size_t len);
unsigned aw_method_of(const uint8_t *p, size_t len);
#pragma GCC visibility pop
#endif
