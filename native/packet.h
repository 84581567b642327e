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
#pragma GCC visibility pop
#endif
