/* SPDX-License-Identifier: Apache-2.0 */
/* Characters and short texts: classes, words without case, numbers, spans. */
#ifndef AW_CHARS_H
#define AW_CHARS_H

#include <string.h>
#include "native.h"

enum {              /* aw_class bits, see chars.c */
       C_TOKEN = 1, /* token (RFC 3261 section 25.1) */
       C_LWS = 2,   /* SP HT CR LF: inside a value a line end can only be a fold */
       C_DIGIT = 4,
       C_HOST = 8,       /* alphanumeric - . and _, which real host names have */
       C_VALUE_END = 16, /* ends an unquoted parameter value */
       C_TEXT_END = 32,  /* may end the text in front of an address: < ; , " */
       C_USER_END = 64,  /* ends a user part, or shows that there is none: @ : ; ? [ */
       C_BLANK = 128     /* SP HT */
};

/* aw_plain bits: the bytes that stop a run in a value that is written the plain way. Each class
 * holds every control character, so that a run never leaves its line. */
enum {
    P_QUOTED = 1, /* " \ */
    P_WORD = 2,   /* SP */
    P_USER = 4,   /* ends a user part, or shows that it is none of the plain kind */
    P_URI = 8,    /* ends a parameter of a URI: SP " < > ? @ ; */
    P_VALUE = 16, /* ends the value of a parameter: SP " , ; */
    P_HOST = 32,  /* all that is not C_HOST */
    P_IPV6 = 64,  /* all that an IPv6 reference does not have */
    P_TOKEN = 128 /* all that is not C_TOKEN */
};

#pragma GCC visibility push(hidden)
extern const uint8_t aw_class[256];
extern const uint8_t aw_plain[256];

/* p[i] is '"'. Returns the index behind the closing quote, or 0 when there is none. */
size_t aw_quoted_end(const uint8_t *p, size_t i, size_t end);
/* The first ',' at or behind i that is outside quotes and angle brackets, or end. */
size_t aw_next_comma(const uint8_t *p, size_t i, size_t end);
#pragma GCC visibility pop

/* As aw_quoted_end(), for the quotes of p[..end) in order. *unclosed: one before had no end, so
 * this one has none: it is an escaped one in the text of that, and the pairs behind it are the
 * same. Looking for it each time would take quadratic time. */
static inline size_t quoted_end(const uint8_t *p, size_t i, size_t end, int *unclosed) {
    const size_t behind = *unclosed ? 0 : aw_quoted_end(p, i, end);
    *unclosed = !behind;
    return behind;
}

static inline int is(uint8_t c, unsigned classes) {
    return (aw_class[c] & classes) != 0;
}

static inline aw_span span(size_t from, size_t to) {
    aw_span s = {(uint16_t)from, (uint16_t)(to - from)};
    return s;
}

static inline size_t skip(const uint8_t *p, size_t i, size_t end, unsigned classes) {
    while (i < end && is(p[i], classes)) i++;
    return i;
}

/* As skip(), for runs that are long enough to look at the end once for four bytes. */
static inline size_t skip_run(const uint8_t *p, size_t i, size_t end, unsigned classes) {
    for (; i + 4 <= end; i += 4) {
        if (!is(p[i], classes)) return i;
        if (!is(p[i + 1], classes)) return i + 1;
        if (!is(p[i + 2], classes)) return i + 2;
        if (!is(p[i + 3], classes)) return i + 3;
    }
    return skip(p, i, end, classes);
}

/* The first byte of the classes at or behind i, or end. */
static inline size_t find(const uint8_t *p, size_t i, size_t end, unsigned classes) {
    for (; i + 4 <= end; i += 4) {
        if (is(p[i], classes)) return i;
        if (is(p[i + 1], classes)) return i + 1;
        if (is(p[i + 2], classes)) return i + 2;
        if (is(p[i + 3], classes)) return i + 3;
    }
    while (i < end && !is(p[i], classes)) i++;
    return i;
}

static inline size_t trim(const uint8_t *p, size_t from, size_t end) {
    while (end > from && is(p[end - 1], C_LWS)) end--;
    return end;
}

/* Loads for comparing names of known length without case: `| 0x20` is exact for letters, and for
 * all else as long as the bytes are known to be token characters (0x1a | 0x20 is ':'). */
static inline uint16_t fold16(const uint8_t *p) {
    uint16_t x;
    memcpy(&x, p, 2);
    return x | 0x2020u;
}
static inline uint32_t fold32(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, 4);
    return x | 0x20202020u;
}
static inline uint16_t word16(const char *p) {
    uint16_t x;
    memcpy(&x, p, 2);
    return x;
}
static inline uint32_t word32(const char *p) {
    uint32_t x;
    memcpy(&x, p, 4);
    return x;
}

/* Does p[i..end) begin with a scheme of three letters, in any case, and its colon? */
static inline int begins_scheme(const uint8_t *p, size_t i, size_t end, const char *scheme) {
    return end - i >= 4 && fold32(p + i) == word32(scheme) && p[i + 3] == ':';
}

static inline int is_crlf(const uint8_t *p) {
    uint16_t x;
    memcpy(&x, p, 2);
    return x == word16("\r\n");
}

/* Is p[i] the CR of a line end that no fold follows? For the plain way, which has read it. */
static inline int ends_line(const uint8_t *p, size_t i) {
    return is_crlf(p + i) && (p[i + 2] > ' ' || !is(p[i + 2], C_BLANK));
}

/* Is p[i] the CR of a fold of one blank, a parameter behind it, and a line feed behind that? */
static inline int folds_to_param(const uint8_t *p, size_t i, size_t known) {
    return known - i >= 6 && is_crlf(p + i) && p[i + 2] == ' ' && p[i + 3] == ';';
}

/* p[i..end) as a decimal number, 0xffffffff when larger. Returns the index behind the digits. */
static inline size_t number(const uint8_t *p, size_t i, size_t end, uint32_t *value) {
    const size_t safe = end - i > 9 ? i + 9 : end; /* so many digits cannot overflow */
    uint32_t v = 0, digit;
    for (; i < safe && (digit = (uint32_t)p[i] - '0') <= 9; i++) v = v * 10 + digit;
    if (i == safe)
        for (; i < end && (digit = (uint32_t)p[i] - '0') <= 9; i++)
            v = v > (0xffffffffu - digit) / 10 ? 0xffffffffu : v * 10 + digit;
    *value = v;
    return i;
}
#endif
