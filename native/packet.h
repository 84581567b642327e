/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared on the way from a frame to its rows. Not part of the contract with Python. */
#ifndef AW_PACKET_H
#define AW_PACKET_H

#include "native.h"

#pragma GCC visibility push(hidden)
/* As aw_hash, but case-insensitive (equal for more than that: bit 5 of every byte is set). */
uint64_t aw_hash_folded(const uint8_t key[16], const uint8_t *p, size_t len);
uint64_t aw_hash_words(const uint8_t key[16], const uint64_t *words, size_t n);
/* Which checksums of a packet are wrong, of its innermost IP header and its UDP or TCP. The rest of
 * the frame must have been captured. */
enum {
    SUM_HEADER = 1,    /* the IPv4 header's */
    SUM_NO_HEADER = 2, /* that is 0: left to the network card */
    SUM_PAYLOAD = 4,   /* that of UDP or TCP */
    SUM_NONE = 8,      /* that is 0 */
    SUM_PARTIAL = 16   /* that is the sum of the pseudo-header: left to the network card */
};
unsigned aw_wrong_sums(const uint8_t *p, const aw_frame *f);
/* The IP packet at p[at..end) into out, tunnels followed. As aw_frame_parse. */
int aw_frame_parse_ip(const uint8_t *p, size_t at, size_t end, aw_frame *out);
/* A message with a row, for the media that it announces or ends. */
void aw_rtp_message(aw_rtp *rtp, const aw_row *row, const aw_frame *f, const uint8_t *body,
                    size_t length);
/* A packet that looks like RTP and has to be counted, or may have to be. */
void aw_rtp_packet(aw_rtp *rtp, uint8_t tap, uint64_t at, const aw_frame *f);
/* Most packets of media are of nobody's call: they shall cost no call. p: the payload. */
static inline void aw_rtp_look(aw_rtp *rtp, uint8_t tap, uint64_t at, const aw_frame *f,
                               const uint8_t *p) {
    if (!(rtp->by_port[f->dport] | rtp->by_port[f->sport] | rtp->waiting)) return;
    /* RFC 3550 section 5.1; RTCP on the same port has types from 192 on (RFC 5761 section 4). */
    if (f->length < 12 || (p[0] & 0xc0) != 0x80 || (p[1] >= 192 && p[1] <= 223)) return;
    aw_rtp_packet(rtp, tap, at, f);
}
#pragma GCC visibility pop
#endif
