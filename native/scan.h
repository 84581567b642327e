/* What the scanner's files share with each other. Not part of the contract with Python. */
#ifndef AW_SCAN_H
#define AW_SCAN_H

#include <string.h>

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

#pragma GCC visibility push(hidden)
extern const uint8_t aw_class[256];

/* aw_plain bits: what stops a run of bytes in a value that is written the plain way. Each class
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
extern const uint8_t aw_plain[256];

/* What a URI is made of. */
typedef struct {
    aw_span user, host, params;
    uint16_t port, bits; /* bits: aw_addr_bits */
    int bad, query;      /* query: it has a '?' */
} aw_uri;

void aw_flag(aw_sip *s, unsigned bit, size_t at);

/* p[i] is '"'. Returns the index behind the closing quote, or 0 when there is none. */
size_t aw_quoted_end(const uint8_t *p, size_t i, size_t end);
/* The first ',' at or behind i that is outside quotes and angle brackets, or end. */
size_t aw_next_comma(const uint8_t *p, size_t i, size_t end);

void aw_scan_uri(const uint8_t *p, size_t i, size_t end, aw_uri *out);
/* One name-addr or addr-spec with its parameters. Returns the index of the ',' behind it (lists
 * only) or end. */
size_t aw_scan_addr(const uint8_t *p, size_t i, size_t end, int list, aw_addr *a, aw_sip *s);
void aw_scan_addrs(const uint8_t *p, size_t i, size_t end, aw_addr *list, uint16_t *count,
                   unsigned limit, aw_sip *s);
void aw_scan_vias(const uint8_t *p, size_t i, size_t end, aw_sip *s);

/* The plain way of writing: no comment, no fold, no white space where none is needed, nothing
 * wrong. These read it where it stands, in one pass, without the end of the line known, and must
 * say what their counterparts above say. They stop in front of the first value that is not of
 * that kind. p[0..limit) has a line feed at or behind i; *i moves behind what was read.
 * Return 1 when the header field was read to its line end, and *i is at its CR. */
int aw_plain_vias(const uint8_t *p, size_t *i, size_t limit, aw_sip *s);
int aw_plain_addrs(const uint8_t *p, size_t *i, size_t limit, aw_addr *list, uint16_t *count,
                   unsigned most);
/* A sip: or tel: URI: its parts into *a, its parameters only when asked for. Returns the index of
 * what stopped it, 0 when it is not plain. */
size_t aw_plain_uri(const uint8_t *p, size_t i, size_t limit, int params, aw_addr *a);

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

/* As aw_hash, but case-insensitive (equal for more than that: bit 5 of every byte is set). */
uint64_t aw_hash_folded(const uint8_t key[16], const uint8_t *p, size_t len);
uint64_t aw_hash_words(const uint8_t key[16], const uint64_t *words, size_t n);
/* The IP packet at p[at..end) into out, tunnels followed. As aw_frame_parse. */
int aw_frame_parse_ip(const uint8_t *p, size_t at, size_t end, aw_frame *out);
#pragma GCC visibility pop

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

/* Is p[i] the CR of a line end that no fold follows? */
static inline int ends_line(const uint8_t *p, size_t i, size_t limit) {
    return limit - i >= 3 && is_crlf(p + i) && p[i + 2] != ' ' && p[i + 2] != '\t';
}

/* A port from i on. Returns the index behind it, 0 when it is not 1 to 65535. */
static inline size_t plain_port(const uint8_t *p, size_t i, uint16_t *port) {
    uint32_t value = 0, digit;
    const size_t from = i;
    while ((digit = (uint32_t)p[i] - '0') <= 9) {
        value = value * 10 + digit;
        if (value > 65535) return 0;
        i++;
    }
    *port = (uint16_t)value;
    return value && i > from ? i : 0;
}

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

/* SSE2 is part of x86-64: no choice at run time. AW_PORTABLE leaves it out, for comparison. */
#if defined(__SSE2__) && !defined(AW_PORTABLE)
#define AW_SSE2 1
#include <emmintrin.h>

static inline __m128i sse_range(__m128i x, int low, int high) {
    const __m128i from = _mm_sub_epi8(x, _mm_set1_epi8((char)low));
    return _mm_cmpeq_epi8(_mm_min_epu8(from, _mm_set1_epi8((char)(high - low))), from);
}
static inline __m128i sse_upto(__m128i x, int high) {
    return _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8((char)high)), x);
}
static inline __m128i sse_is(__m128i x, int c) {
    return _mm_cmpeq_epi8(x, _mm_set1_epi8((char)c));
}

/* A bit for each of the 16 bytes that may be of the class: all that are, and a few others. */
static inline unsigned sse_stops(const uint8_t *p, unsigned stops) {
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i found;
    switch (stops) { /* a constant */
    case P_HOST:
    case P_TOKEN: { /* what is no letter, digit, '-' or '.' */
        const __m128i letter = sse_range(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 'z');
        const __m128i other = _mm_andnot_si128(sse_is(x, '/'), sse_range(x, '-', '9'));
        return (unsigned)_mm_movemask_epi8(_mm_or_si128(letter, other)) ^ 0xffff;
    }
    case P_USER:
        found = _mm_or_si128(sse_upto(x, '"'), sse_range(x, ':', '@'));
        found = _mm_or_si128(found, _mm_or_si128(sse_is(x, ','), sse_range(x, '[', ']')));
        break;
    case P_URI:
        found = _mm_andnot_si128(sse_is(x, '='), sse_range(x, ';', '@'));
        found = _mm_or_si128(found, sse_upto(x, '"'));
        break;
    case P_VALUE: found = _mm_or_si128(sse_upto(x, ','), sse_is(x, ';')); break;
    case P_WORD: found = sse_upto(x, ' '); break;
    default: /* P_QUOTED */
        found = _mm_or_si128(sse_upto(x, 0x1f), _mm_or_si128(sse_is(x, '"'), sse_is(x, '\\')));
        break;
    }
    return (unsigned)_mm_movemask_epi8(found);
}

static inline uint64_t sse_controls(const uint8_t *p) {
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (uint64_t)_mm_movemask_epi8(sse_upto(x, 0x1f));
}
#endif

/* The first byte below 0x20 at or behind i, or end. */
static inline size_t next_control(const uint8_t *p, size_t i, size_t end) {
#ifdef AW_SSE2
    /* Most lines are shorter than 64 bytes: one branch that can be foreseen. */
    for (; i + 64 <= end; i += 64) {
        const uint64_t found = sse_controls(p + i) | sse_controls(p + i + 16) << 16 |
                               sse_controls(p + i + 32) << 32 | sse_controls(p + i + 48) << 48;
        if (found) return i + (size_t)__builtin_ctzll(found);
    }
    for (; i + 16 <= end; i += 16) {
        const uint64_t found = sse_controls(p + i);
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
#ifdef AW_SSE2
    for (; i + 32 <= end; i += 32) {
        const unsigned found = (unsigned)(sse_controls(p + i) | sse_controls(p + i + 16) << 16);
        if (found) return i + (size_t)__builtin_ctz(found);
    }
#endif
    return next_control(p, i, end);
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
#ifdef AW_SSE2
    while (i + 16 <= limit) {
        const unsigned found = sse_stops(p + i, stops);
        if (!found) {
            i += 16;
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
#ifdef AW_SSE2
    if (i + 32 <= limit) {
        const unsigned found = sse_stops(p + i, P_VALUE) | sse_stops(p + i + 16, P_VALUE) << 16;
        if (!found) {
            i += 32;
        } else {
            i += (size_t)__builtin_ctz(found);
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
