/* SPDX-License-Identifier: Apache-2.0 */
/* Declarations shared on the way from a frame to its rows. Not part of the contract with Python. */
#ifndef AW_PACKET_H
#define AW_PACKET_H

#include "native.h"

#pragma GCC visibility push(hidden)
/* As aw_hash, but case-insensitive (equal for more than that: bit 5 of every byte is set). */
uint64_t aw_hash_folded(const uint8_t key[16], const uint8_t *p, size_t len);
uint64_t aw_hash_words(const uint8_t key[16], const uint64_t *words, size_t n);
/* The IP packet at p[at..end) into out, tunnels followed. As aw_frame_parse. */
int aw_frame_parse_ip(const uint8_t *p, size_t at, size_t end, aw_frame *out);
#pragma GCC visibility pop
#endif
