/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over a SIP message (RFC 3261 section 7): lines, then the values of aw_sip. */
#include "plain_field.h"

static int flagged(const aw_sip *s, unsigned bit) {
    return s->anomalies[bit >> 4] >> (bit & 15) & 1;
}

/* ---- line ends ---- */

typedef struct {
    size_t end, next; /* of the text; start of the next line. next == end: no line end was there */
} aw_line;

static int is_blank(uint8_t c) {
    return is(c, C_BLANK);
}

/* The line whose first control character is at i: a fold, a defect, or the end. */
static aw_line line_from(const uint8_t *p, size_t i, size_t len, int folds, aw_sip *s) {
    aw_line line;
    for (;; i = next_control(p, i, len)) {
        if (i == len) {
            line.end = line.next = len;
            return line;
        }
        if (p[i] == '\r' && len - i >= 2 && p[i + 1] == '\n') {
            line.end = i;
            i += 2;
        } else if (p[i] == '\n') {
            flag(s, AW_BARE_LF, i);
            line.end = i;
            i++;
        } else {
            if (p[i] == '\r') flag(s, AW_BARE_CR, i);
            /* Behind a backslash it is a legal quoted-pair (RFC 3261 section 25.1). */
            if (p[i] == 0 && p[i - !!i] != '\\') flag(s, AW_NUL_BYTE, i);
            i++;
            continue;
        }
        if (folds && i < len && is_blank(p[i])) {
            i++;
            continue;
        }
        line.next = i;
        return line;
    }
}

/* The (folded) line that starts at i. */
static inline aw_line line_at(const uint8_t *p, size_t i, size_t len, int folds, aw_sip *s) {
    i = next_control(p, i, len);
    if (len - i >= 3 && is_crlf(p + i) && !(folds && is_blank(p[i + 2]))) {
        const aw_line line = {i, i + 2};
        return line;
    }
    return line_from(p, i, len, folds, s);
}

/* ---- header fields ---- */

static int is_first(aw_sip *s, const aw_span *kept, size_t at) {
    if (!kept->off) return 1;
    flag(s, AW_DUPLICATE_SINGLE, at);
    return 0;
}

static void keep_single(aw_sip *s, aw_span *kept, size_t name, size_t i, size_t end) {
    if (is_first(s, kept, name)) *kept = span(i, end);
}

static void keep_address(const uint8_t *p, aw_sip *s, aw_addr *kept, size_t name, size_t i,
                         size_t end) {
    if (!is_first(s, &kept->all, name)) return;
    if (i == end) {
        flag(s, AW_BAD_ADDR, i);
        kept->all = span(i, end);
        return;
    }
    aw_scan_addr(p, i, end, kept, s);
}

/* A value that is one number; anything else is flagged and reads as 0. */
static uint32_t whole_number(const uint8_t *p, size_t i, size_t end, uint32_t most, unsigned bit,
                             aw_sip *s) {
    uint32_t value;
    if (i == end || number(p, i, end, &value) != end) {
        flag(s, bit, i);
        return 0;
    }
    if (value > most) flag(s, bit, i);
    return value;
}

static void keep_cseq(const uint8_t *p, aw_sip *s, size_t name, size_t i, size_t end) {
    uint32_t value;
    if (!is_first(s, &s->cseq_value, name)) return;
    s->cseq_value = span(i, end);
    const size_t digits_end = number(p, i, end, &value);
    const size_t method = skip(p, digits_end, end, C_LWS);
    const size_t method_end = skip(p, method, end, C_TOKEN);
    /* Less than 2**31: RFC 3261 section 8.1.1.5 */
    if (digits_end == i || method == digits_end || method_end == method || method_end != end ||
        value >> 31)
        flag(s, AW_BAD_CSEQ, i);
    s->cseq[0] = (uint16_t)(value >> 16);
    s->cseq[1] = (uint16_t)value;
    if (method_end > method) s->cseq_method = span(method, method_end);
}

static void keep_content_length(const uint8_t *p, aw_sip *s, size_t name, size_t i, size_t end) {
    if (!is_first(s, &s->content_length_value, name)) return;
    s->content_length_value = span(i, end);
    const uint32_t value = whole_number(p, i, end, 0xfffffffeu, AW_BAD_LENGTH, s);
    s->content_length[0] = (uint16_t)(value >> 16);
    s->content_length[1] = (uint16_t)value;
}

static void keep_max_forwards(const uint8_t *p, aw_sip *s, size_t name, size_t i, size_t end) {
    if (!is_first(s, &s->max_forwards_value, name)) return;
    s->max_forwards_value = span(i, end);
    const uint32_t value = whole_number(p, i, end, 255, AW_BAD_NUMBER, s);
    s->max_forwards = value > 65535 ? 65535 : (uint16_t)value;
}

static void keep_number(const uint8_t *p, aw_sip *s, aw_span *kept, size_t name, size_t i,
                        size_t end) {
    if (!is_first(s, kept, name)) return;
    *kept = span(i, end);
    whole_number(p, i, end, 0xfffffffeu, AW_BAD_NUMBER, s);
}

static void keep(const uint8_t *p, enum field field, size_t name, size_t i, size_t end, aw_sip *s) {
#define KEEP_VIAS()                       aw_scan_vias(p, i, end, s)
#define KEEP_ADDRESS(member)              keep_address(p, s, &s->member, name, i, end)
#define KEEP_ADDRESSES(list, count, most) aw_scan_addrs(p, i, end, s->list, &s->count, most, s)
#define KEEP_TEXT(member)                 keep_single(s, &s->member, name, i, end)
#define KEEP_NUMBER(member)               keep_number(p, s, &s->member, name, i, end)
#define KEEP_CSEQ()                       keep_cseq(p, s, name, i, end)
#define KEEP_LENGTH()                     keep_content_length(p, s, name, i, end)
#define KEEP_FORWARDS()                   keep_max_forwards(p, s, name, i, end)
#define KEEP(id, text, compact, slot, kind)                                                        \
    case F_##id: KEEP_##kind; break;
    switch (field) {
        AW_FIELDS(KEEP, KEEP)
    default: break;
    }
}

/* A header field in any form. */
static void scan_header(const uint8_t *p, size_t i, size_t end, aw_sip *s) {
    const size_t name = i;
    i = skip_run(p, i, end, C_TOKEN);
    const size_t length = i - name;
    if (i < end && p[i] != ':')
        while (i < end && (p[i] == ' ' || p[i] == '\t')) i++;
    if (!length || i == end || p[i] != ':') {
        flag(s, AW_BAD_HEADER_LINE, name);
        return;
    }
    const enum field field = field_of(p + name, length);
    if (field == F_OTHER) return;
    i = skip(p, i + 1, end, C_LWS);
    keep(p, field, name, i, trim(p, i, end), s);
}

/* The header field at i, in any form. Returns the start of the next line. */
static size_t any_field(const uint8_t *p, size_t i, size_t limit, aw_sip *s) {
    const aw_line line = line_at(p, i, limit, 1, s);
    scan_header(p, i, line.end, s);
    return line.next;
}

/* As any_field(), where plain_field() may be tried. */
static inline size_t plain_or_any(const uint8_t *p, size_t i, size_t known, size_t limit,
                                  aw_sip *s) {
    const place at = plain_field(p, i, known, s);
    if (at.end) return at.end + 2;
    if (at.field != F_OTHER) {
        const aw_line line = line_at(p, i, limit, 1, s);
        const size_t value = at.rest ? at.rest : skip(p, at.value, line.end, C_LWS);
        keep(p, at.field, i, value, trim(p, value, line.end), s);
        return line.next;
    }
    const size_t colon = plain(p, i, known, P_TOKEN);
    if (colon > i && p[colon] == ':') {
        const size_t end = next_control(p, colon, known);
        if (ends_line(p, end)) return end + 2;
    }
    return any_field(p, i, limit, s);
}

/* ---- the message ---- */

static void check_whole(const uint8_t *p, aw_sip *s) {
    const size_t at = s->header_end;
    if (!s->vias) flag(s, AW_MISSING_VIA, at);
    if (!s->from.all.off) flag(s, AW_MISSING_FROM, at);
    if (!s->to.all.off) flag(s, AW_MISSING_TO, at);
    if (!s->call_id.off) flag(s, AW_MISSING_CALL_ID, at);
    if (!s->cseq_value.off) flag(s, AW_MISSING_CSEQ, at);
    if (s->status) {
        s->method = (uint16_t)aw_method_of(p + s->cseq_method.off, s->cseq_method.len);
    } else if (s->cseq_method.len &&
               (s->cseq_method.len != s->method_name.len ||
                memcmp(p + s->cseq_method.off, p + s->method_name.off, s->cseq_method.len) != 0)) {
        flag(s, AW_METHOD_MISMATCH, s->cseq_method.off);
    }
}

/* Sets the body. Returns the length of the message, or a code. */
static int scan_body(size_t len, size_t limit, int stream, aw_sip *s) {
    const size_t start = s->header_end, have = limit - start;
    const size_t declared = (size_t)s->content_length[0] << 16 | s->content_length[1];
    const int known = s->content_length_value.off && !flagged(s, AW_BAD_LENGTH);
    size_t body = have;
    if (known && declared > have) {
        flag(s, AW_LENGTH_SHORT, s->content_length_value.off);
    } else if (stream) {
        body = known ? declared : 0; /* without one there is no body: RFC 3261 section 20.14 */
    } else if (known && declared < have) {
        flag(s, AW_LENGTH_LONG, s->content_length_value.off);
    }
    if (body) s->body = span(start, start + body);
    if (stream && known && declared > have)
        return start + declared > 65535 || len > limit ? AW_TOO_LONG : AW_PARTIAL;
    return (int)(start + body);
}

/* Clears all in front of the lists. One memset of that size becomes "rep stos", which is slow to
 * start. */
static inline void clear_head(aw_sip *s) {
    enum { HEAD = offsetof(aw_sip, via), PART = 64 };
    _Static_assert(HEAD > 3 * PART && HEAD <= 4 * PART, "four parts");
    uint8_t *head = (uint8_t *)s;
    memset(head, 0, PART);
    memset(head + PART, 0, PART);
    memset(head + 2 * PART, 0, PART);
    memset(head + HEAD - PART, 0, PART);
}

/* The last place that has a line feed two bytes in front of it: a run that stops there needs no
 * other end. 0: not looked for yet. */
static inline size_t known_until(const uint8_t *p, size_t i, size_t limit) {
    enum { LOOK_BACK = 256 };
    size_t feed = last_feed(p, limit - 1);
    while (feed > i && p[feed] != '\n' && limit - feed < LOOK_BACK) feed--;
    return feed > i && p[feed] == '\n' ? feed + 2 : 0;
}

int aw_sip_scan(const uint8_t *p, size_t len, int stream, aw_sip *s) {
    const size_t limit = len > 65535 ? 65535 : len;
    size_t i = 0;

    clear_head(s);
    if (len > limit && !stream) return AW_TOO_LONG;
    while (i < limit && (p[i] == '\r' || p[i] == '\n')) i++;
    if (i == limit) return stream && i ? AW_PARTIAL : AW_NOT_SIP;
    if (i) flag(s, AW_LEADING_CRLF, 0);
    if (!is(p[i], C_TOKEN)) return AW_NOT_SIP;

    aw_line line = line_at(p, i, limit, 0, s);
    if (stream && p[line.next - 1] != '\n') { /* no line end yet */
        if (!aw_may_become_sip(p + i, limit - i)) return AW_NOT_SIP;
        return len > limit ? AW_TOO_LONG : AW_PARTIAL;
    }
    if ((line.next == line.end || aw_plain_start_line(p, i, line.end, s) == AW_LINE_NO) &&
        aw_scan_start_line(p, i, line.end, s) == AW_LINE_NO)
        return AW_NOT_SIP;
    i = line.next;

    const size_t known = known_until(p, i, limit);
    for (;;) {
        /* A line that plain_field() may read; not the empty one. */
        if ((i + 16 <= known || (i + 2 < known && p[i + 1] == ':')) && p[i] > '\r') {
            i = plain_or_any(p, i, known, limit, s);
            continue;
        }
        if (i == limit) {
            if (stream) return len > limit ? AW_TOO_LONG : AW_PARTIAL;
            flag(s, AW_NO_HEADER_END, i);
            break;
        }
        if (p[i] == '\r' && limit - i >= 2 && p[i + 1] == '\n') {
            i += 2;
            break;
        }
        if (p[i] == '\n') {
            flag(s, AW_BARE_LF, i);
            i++;
            break;
        }
        i = any_field(p, i, limit, s);
    }
    s->header_end = (uint16_t)i;
    check_whole(p, s);
    return scan_body(len, limit, stream, s);
}
