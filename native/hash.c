/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012). */
#include <string.h>
#include "packet.h"

typedef struct {
    uint64_t a, b, c, d;
} sip_state;

static inline uint64_t rotl(uint64_t x, int n) {
    return (x << n) | (x >> (64 - n));
}

static inline uint64_t load_le64(const uint8_t *p) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
#else
    uint64_t x = 0;
    for (int i = 7; i >= 0; i--) x = x << 8 | p[i];
    return x;
#endif
}

static inline void sip_round(sip_state *v) {
    v->a += v->b;
    v->c += v->d;
    v->b = rotl(v->b, 13) ^ v->a;
    v->d = rotl(v->d, 16) ^ v->c;
    v->a = rotl(v->a, 32) + v->d;
    v->c += v->b;
    v->d = rotl(v->d, 21) ^ v->a;
    v->b = rotl(v->b, 17) ^ v->c;
    v->c = rotl(v->c, 32);
}

static inline void sip_begin(sip_state *v, const uint8_t key[16]) {
    const uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
    v->a = k0 ^ 0x736f6d6570736575u;
    v->b = k1 ^ 0x646f72616e646f6du;
    v->c = k0 ^ 0x6c7967656e657261u;
    v->d = k1 ^ 0x7465646279746573u;
}

static inline void sip_word(sip_state *v, uint64_t m) {
    v->d ^= m;
    sip_round(v);
    v->a ^= m;
}

static inline uint64_t sip_end(sip_state *v) {
    v->c ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v->a ^ v->b ^ v->c ^ v->d;
}

static inline uint64_t sip_bytes(const uint8_t key[16], const uint8_t *p, size_t len,
                                 uint64_t fold) {
    sip_state v;
    uint64_t last = (uint64_t)(len & 0xff) << 56;
    const size_t whole = len & ~(size_t)7;
    sip_begin(&v, key);
    for (size_t i = 0; i < whole; i += 8) sip_word(&v, load_le64(p + i) | fold);
    for (size_t i = whole; i < len; i++)
        last |= (uint64_t)(p[i] | (uint8_t)fold) << (8 * (i - whole));
    sip_word(&v, last);
    return sip_end(&v);
}

uint64_t aw_hash(const uint8_t key[16], const uint8_t *p, size_t len) {
    return sip_bytes(key, p, len, 0);
}

uint64_t aw_hash_folded(const uint8_t key[16], const uint8_t *p, size_t len) {
    return sip_bytes(key, p, len, 0x2020202020202020u);
}

uint64_t aw_hash_words(const uint8_t key[16], const uint64_t *words, size_t n) {
    sip_state v;
    sip_begin(&v, key);
    for (size_t i = 0; i < n; i++) sip_word(&v, words[i]);
    sip_word(&v, (uint64_t)(n * 8 & 0xff) << 56);
    return sip_end(&v);
}
