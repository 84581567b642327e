/* SPDX-License-Identifier: Apache-2.0 */
/* Searches for the end of a run of bytes: portable, or with SSE2. */
#ifndef AW_RUNS_H
#define AW_RUNS_H

#include "chars.h"

#define AW_ONES ((size_t)-1 / 255)

/* ---- words of bytes ---- */

/* The high bit of every byte below 0x20, exact in each byte. */
static inline size_t controls(size_t word) {
    return ~(((word & AW_ONES * 0x7f) + AW_ONES * 0x60) | word) & AW_ONES * 0x80;
}

static inline size_t first_of(size_t found) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (size_t)__builtin_ctzll((unsigned long long)found) / 8;
#else
    return (size_t)__builtin_clzll((unsigned long long)found) / 8 -
           (sizeof(unsigned long long) - sizeof found);
#endif
}

/* Every x86-64 has SSE2. AW_PORTABLE leaves it out, for comparison. */
#if defined(__SSE2__) && !defined(AW_PORTABLE)
#define AW_VECTOR 1
#include <emmintrin.h>
enum { AW_WIDTH = 16 };
typedef __m128i aw_vector;

static inline aw_vector v_load(const uint8_t *p) {
    return _mm_loadu_si128((const aw_vector *)(const void *)p);
}
static inline aw_vector v_or(aw_vector a, aw_vector b) {
    return _mm_or_si128(a, b);
}
static inline aw_vector v_all(int c) {
    return _mm_set1_epi8((char)c);
}
/* low to high are ASCII. */
static inline aw_vector v_range(aw_vector x, int low, int high) {
    return _mm_cmpgt_epi8(_mm_add_epi8(x, v_all(127 - high)), v_all(126 - high + low));
}
static inline aw_vector v_upto(aw_vector x, int high) {
    return _mm_cmpeq_epi8(_mm_min_epu8(x, v_all(high)), x);
}
static inline aw_vector v_is(aw_vector x, int c) {
    return _mm_cmpeq_epi8(x, v_all(c));
}
static inline uint32_t v_bits(aw_vector x) {
    return (uint32_t)_mm_movemask_epi8(x);
}

/* A bit for each of AW_WIDTH bytes that may be of the class: all that are, and a few others. */
static inline uint32_t v_stops(const uint8_t *p, unsigned stops) {
    const aw_vector x = v_load(p);
    switch (stops) { /* a constant */
    case P_HOST:
    case P_TOKEN: { /* anything but a letter, digit, '-' or '.' */
        const aw_vector letter = v_range(v_or(x, v_all(0x20)), 'a', 'z');
        const aw_vector other = _mm_andnot_si128(v_is(x, '/'), v_range(x, '-', '9'));
        return ~v_bits(v_or(letter, other)) & (uint32_t)((UINT64_C(1) << AW_WIDTH) - 1);
    }
    case P_USER:
        return v_bits(v_or(v_or(v_upto(x, '"'), v_range(x, ':', '@')),
                           v_or(v_is(x, ','), v_range(x, '[', ']'))));
    case P_URI:
        return v_bits(v_or(_mm_andnot_si128(v_is(x, '='), v_range(x, ';', '@')), v_upto(x, '"')));
    case P_VALUE: return v_bits(v_or(v_upto(x, ','), v_is(x, ';')));
    case P_WORD: return v_bits(v_upto(x, ' '));
    default: /* P_QUOTED */ return v_bits(v_or(v_upto(x, 0x1f), v_or(v_is(x, '"'), v_is(x, '\\'))));
    }
}

static inline uint64_t v_controls(const uint8_t *p) {
    return v_bits(v_upto(v_load(p), 0x1f));
}

/* As v_controls(), of 64 bytes. */
static inline uint64_t v_controls_64(const uint8_t *p) {
    uint64_t found = v_controls(p);
    for (int i = AW_WIDTH; i < 64; i += AW_WIDTH) found |= v_controls(p + i) << i;
    return found;
}

static inline uint64_t v_feeds_64(const uint8_t *p) {
    uint64_t found = 0;
    for (int i = 0; i < 64; i += AW_WIDTH)
        found |= (uint64_t)v_bits(v_is(v_load(p + i), '\n')) << i;
    return found;
}
#endif

/* The first byte below 0x20 at or behind i, or end. */
static inline size_t next_control(const uint8_t *p, size_t i, size_t end) {
#ifdef AW_VECTOR
    /* Most lines are shorter than 64 bytes: one branch that can be foreseen. */
    for (; i + 64 <= end; i += 64) {
        const uint64_t found = v_controls_64(p + i);
        if (found) return i + (size_t)__builtin_ctzll(found);
    }
    for (; i + AW_WIDTH <= end; i += AW_WIDTH) {
        const uint64_t found = v_controls(p + i);
        if (found) return i + (size_t)__builtin_ctzll(found);
    }
#else
    enum { STEP = 2 * sizeof(size_t) };
    for (; i + STEP <= end; i += STEP) {
        size_t word, second;
        memcpy(&word, p + i, sizeof word);
        memcpy(&second, p + i + sizeof word, sizeof word);
        /* Never misses one; UTF-8 may look like one, hence the exact tests. */
        if (((word - AW_ONES * 0x20) | (second - AW_ONES * 0x20)) & AW_ONES * 0x80) {
            size_t found = controls(word);
            if (found) return i + first_of(found);
            found = controls(second);
            if (found) return i + sizeof word + first_of(found);
        }
    }
#endif
    while (i < end && p[i] >= 0x20) i++;
    return i;
}

/* As next_control(), for short lines. */
static inline size_t next_control_near(const uint8_t *p, size_t i, size_t end) {
#ifdef AW_VECTOR
    for (; i + 32 <= end; i += 32) {
        const uint64_t found = v_controls(p + i) | v_controls(p + i + 16) << 16;
        if (found) return i + (size_t)__builtin_ctzll(found);
    }
#endif
    return next_control(p, i, end);
}

/* The last line feed of p[end - 64..end), or end - 1. */
static inline size_t last_feed(const uint8_t *p, size_t end) {
#ifdef AW_VECTOR
    if (end >= 64) {
        const uint64_t found = v_feeds_64(p + end - 64);
        if (found) return end - 1 - (size_t)__builtin_clzll(found);
    }
#else
    (void)p;
#endif
    return end - 1;
}

/* The first byte of a class of aw_plain at or behind i, a byte at a time. */
static inline size_t plain_short(const uint8_t *p, size_t i, unsigned stops) {
    for (;; i += 4) {
        if (aw_plain[p[i]] & stops) return i;
        if (aw_plain[p[i + 1]] & stops) return i + 1;
        if (aw_plain[p[i + 2]] & stops) return i + 2;
        if (aw_plain[p[i + 3]] & stops) return i + 3;
    }
}

/* The first byte of a class of aw_plain at or behind i. */
static inline size_t plain(const uint8_t *p, size_t i, size_t limit, unsigned stops) {
#ifdef AW_VECTOR
    while (i + AW_WIDTH <= limit) {
        const uint32_t found = v_stops(p + i, stops);
        if (!found) {
            i += AW_WIDTH;
            continue;
        }
        i += (size_t)__builtin_ctz(found);
        if (aw_plain[p[i]] & stops) return i;
        i++;
    }
#else
    (void)limit;
#endif
    return plain_short(p, i, stops);
}

/* The end of the value of a parameter (P_VALUE) at or behind i, for long ones. A word at a time
 * as far as none of its bytes is below '-' or a ';': the others are looked at one by one. */
static inline size_t plain_value(const uint8_t *p, size_t i, size_t limit) {
#ifdef AW_VECTOR
    if (i + 2 * AW_WIDTH <= limit) {
        const uint64_t second = v_stops(p + i + AW_WIDTH, P_VALUE);
        const uint64_t found = v_stops(p + i, P_VALUE) | second << AW_WIDTH;
        if (!found) {
            i += 2 * AW_WIDTH;
        } else {
            i += (size_t)__builtin_ctzll(found);
            if (aw_plain[p[i]] & P_VALUE) return i;
        }
    }
    return plain(p, i, limit, P_VALUE);
#else
    enum { STEP = sizeof(size_t) };
    while (i + STEP <= limit) {
        size_t word;
        memcpy(&word, p + i, STEP);
        if (((word - AW_ONES * 0x2d) | ((word ^ AW_ONES * ';') - AW_ONES)) & AW_ONES * 0x80) break;
        i += STEP;
    }
    return plain_short(p, i, P_VALUE);
#endif
}

/* One to nine digits from i on. Returns the index behind them, 0 when there are none or more. */
static inline size_t plain_number(const uint8_t *p, size_t i, size_t limit, uint32_t *value) {
    const size_t from = i;
    uint32_t v = 0, digit;
#ifdef AW_VECTOR
    /* The number of digits cannot be predicted: eight at a time. */
    if (limit - i >= 8) {
        uint64_t x;
        memcpy(&x, p + i, 8);
        x ^= UINT64_C(0x3030303030303030);
        const uint64_t others = ((x + UINT64_C(0x7676767676767676)) | x) &
                                UINT64_C(0x8080808080808080);
        if (others) {
            const unsigned bits = (unsigned)__builtin_ctzll(others) & 0x38;
            if (!bits) return 0;
            x <<= 64 - bits;
            x = x * 10 + (x >> 8);
            x = (x & UINT64_C(0xff000000ff)) * UINT64_C(0xf424000000064) +
                (x >> 16 & UINT64_C(0xff000000ff)) * UINT64_C(0x271000000001);
            *value = (uint32_t)(x >> 32);
            return i + bits / 8;
        }
    }
#else
    (void)limit;
#endif
    while ((digit = (uint32_t)p[i] - '0') <= 9) {
        v = v * 10 + digit;
        i++;
    }
    *value = v;
    return i - from - 1 < 9 ? i : 0;
}

/* A port of one to five digits from i on. Returns the index behind it, 0 when it is none. */
static inline size_t plain_port(const uint8_t *p, size_t i, uint16_t *port) {
    uint32_t value = 0, digit;
    const size_t from = i;
    while ((digit = (uint32_t)p[i] - '0') <= 9) {
        value = value * 10 + digit;
        i++;
    }
    *port = (uint16_t)value;
    return i - from <= 5 && value - 1 < 65535 ? i : 0;
}

/* host or IPv6 reference. Returns the index behind it, 0 when it is not plain. */
static inline size_t plain_host(const uint8_t *p, size_t i, size_t limit, aw_span *host) {
    size_t from = i;
    if (p[i] == '[') {
        i = plain_short(p, ++from, P_IPV6);
        if (p[i] != ']') return 0;
        *host = span(from, i);
        return i + 1;
    }
    i = plain(p, i, limit, P_HOST);
    if (i == from) return 0;
    *host = span(from, i);
    return i;
}
#endif
