/* One pass over a SIP message (RFC 3261 section 7): lines, then the values that matter. */
#include <stddef.h>
#include <stdint.h>
#include "algwatch_native.h"
#include "scan.h"

void aw_flag(aw_sip *s, unsigned bit, size_t at) {
    uint16_t *word = &s->anomalies[bit >> 4];
    const uint16_t mask = (uint16_t)(1u << (bit & 15));
    if (*word & mask) return;
    *word = (uint16_t)(*word | mask);
    s->anomaly_at[bit] = (uint16_t)at;
}

static int flagged(const aw_sip *s, unsigned bit) {
    return s->anomalies[bit >> 4] >> (bit & 15) & 1;
}

/* ---- line ends ---- */

#define ONES ((size_t)-1 / 255)

/* The high bit of every byte below 0x20, exact in each byte. */
static inline size_t controls(size_t word) {
    return ~(((word & ONES * 0x7f) + ONES * 0x60) | word) & ONES * 0x80;
}

static inline size_t first_of(size_t found) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (size_t)__builtin_ctzll((unsigned long long)found) / 8;
#else
    return (size_t)__builtin_clzll((unsigned long long)found) / 8 -
           (sizeof(unsigned long long) - sizeof found);
#endif
}

/* The first byte below 0x20 at or behind i, or end. */
static inline size_t next_control(const uint8_t *p, size_t i, size_t end) {
    enum { STEP = 2 * sizeof(size_t) };
    for (; i + STEP <= end; i += STEP) {
        size_t word, second;
        memcpy(&word, p + i, sizeof word);
        memcpy(&second, p + i + sizeof word, sizeof word);
        /* Never misses one; UTF-8 may look like one, hence the exact tests. */
        if (((word - ONES * 0x20) | (second - ONES * 0x20)) & ONES * 0x80) {
            size_t found = controls(word);
            if (found) return i + first_of(found);
            found = controls(second);
            if (found) return i + sizeof word + first_of(found);
        }
    }
    while (i < end && p[i] >= 0x20) i++;
    return i;
}

typedef struct {
    size_t end, next; /* of the text; start of what follows. next == end: no line end was there */
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
            aw_flag(s, AW_BARE_LF, i);
            line.end = i;
            i++;
        } else {
            if (p[i] == '\r') aw_flag(s, AW_BARE_CR, i);
            /* Behind a backslash it is a legal quoted-pair (RFC 3261 section 25.1). */
            if (p[i] == 0 && p[i - !!i] != '\\') aw_flag(s, AW_NUL_BYTE, i);
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
    if (len - i >= 3 && p[i] == '\r' && p[i + 1] == '\n' && !(folds && is_blank(p[i + 2]))) {
        const aw_line line = {i, i + 2};
        return line;
    }
    return line_from(p, i, len, folds, s);
}

/* ---- header fields ---- */

static int is_first(aw_sip *s, const aw_span *kept, size_t at) {
    if (!kept->off) return 1;
    aw_flag(s, AW_DUPLICATE_SINGLE, at);
    return 0;
}

static void keep_single(aw_sip *s, aw_span *kept, size_t name, size_t i, size_t end) {
    if (is_first(s, kept, name)) *kept = span(i, end);
}

static void keep_address(const uint8_t *p, aw_sip *s, aw_addr *kept, size_t name, size_t i,
                         size_t end) {
    if (!is_first(s, &kept->all, name)) return;
    if (i == end) {
        aw_flag(s, AW_BAD_ADDR, i);
        kept->all = span(i, end);
        return;
    }
    aw_scan_addr(p, i, end, 0, kept, s);
}

/* A value that is one number; what is not is flagged and reads as 0. */
static uint32_t whole_number(const uint8_t *p, size_t i, size_t end, uint32_t most, unsigned bit,
                             aw_sip *s) {
    uint32_t value;
    if (i == end || number(p, i, end, &value) != end) {
        aw_flag(s, bit, i);
        return 0;
    }
    if (value > most) aw_flag(s, bit, i);
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
        aw_flag(s, AW_BAD_CSEQ, i);
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

static void keep_expires(const uint8_t *p, aw_sip *s, size_t name, size_t i, size_t end) {
    if (!is_first(s, &s->expires, name)) return;
    s->expires = span(i, end);
    whole_number(p, i, end, 0xfffffffeu, AW_BAD_NUMBER, s);
}

enum field {
    F_OTHER,
    F_VIA,
    F_FROM,
    F_TO,
    F_CALL_ID,
    F_CSEQ,
    F_CONTACT,
    F_ROUTE,
    F_RECORD_ROUTE,
    F_PATH,
    F_MAX_FORWARDS,
    F_EXPIRES,
    F_CONTENT_TYPE,
    F_CONTENT_LENGTH,
    F_USER_AGENT,
    F_SERVER
};

#define STARTS(at, text) (fold32(n + (at)) == word32(text))

/* Names by length: token characters only, so `| 0x20` compares without case exactly. */
static enum field field_of(const uint8_t *n, size_t length) {
    switch (length) {
    case 1:
        switch (n[0] | 0x20) {
        case 'v': return F_VIA;
        case 'f': return F_FROM;
        case 't': return F_TO;
        case 'i': return F_CALL_ID;
        case 'm': return F_CONTACT;
        case 'l': return F_CONTENT_LENGTH;
        case 'c': return F_CONTENT_TYPE;
        default: return F_OTHER;
        }
    case 2: return fold16(n) == word16("to") ? F_TO : F_OTHER;
    case 3: return fold16(n) == word16("vi") && (n[2] | 0x20) == 'a' ? F_VIA : F_OTHER;
    case 4:
        if (STARTS(0, "from")) return F_FROM;
        if (STARTS(0, "cseq")) return F_CSEQ;
        return STARTS(0, "path") ? F_PATH : F_OTHER;
    case 5: return STARTS(0, "rout") && (n[4] | 0x20) == 'e' ? F_ROUTE : F_OTHER;
    case 6: return STARTS(0, "serv") && fold16(n + 4) == word16("er") ? F_SERVER : F_OTHER;
    case 7:
        if (STARTS(0, "call") && STARTS(3, "l-id")) return F_CALL_ID;
        if (STARTS(0, "cont") && STARTS(3, "tact")) return F_CONTACT;
        return STARTS(0, "expi") && STARTS(3, "ires") ? F_EXPIRES : F_OTHER;
    case 10:
        return STARTS(0, "user") && STARTS(4, "-age") && STARTS(6, "gent") ? F_USER_AGENT : F_OTHER;
    case 12:
        if (STARTS(0, "reco") && STARTS(4, "rd-r") && STARTS(8, "oute")) return F_RECORD_ROUTE;
        if (STARTS(0, "max-") && STARTS(4, "forw") && STARTS(8, "ards")) return F_MAX_FORWARDS;
        return STARTS(0, "cont") && STARTS(4, "ent-") && STARTS(8, "type") ? F_CONTENT_TYPE
                                                                           : F_OTHER;
    case 14:
        return STARTS(0, "cont") && STARTS(4, "ent-") && STARTS(8, "leng") && STARTS(10, "ngth")
                   ? F_CONTENT_LENGTH
                   : F_OTHER;
    default: return F_OTHER;
    }
}

static void scan_header(const uint8_t *p, size_t i, size_t end, aw_sip *s) {
    const size_t name = i;
    i = skip_run(p, i, end, C_TOKEN);
    const size_t length = i - name;
    if (i < end && p[i] != ':')
        while (i < end && (p[i] == ' ' || p[i] == '\t')) i++;
    if (!length || i == end || p[i] != ':') {
        aw_flag(s, AW_BAD_HEADER_LINE, name);
        return;
    }
    const enum field field = field_of(p + name, length);
    if (field == F_OTHER) return;
    i = skip(p, i + 1, end, C_LWS);
    end = trim(p, i, end);
    switch (field) {
    case F_VIA: aw_scan_vias(p, i, end, s); break;
    case F_FROM: keep_address(p, s, &s->from, name, i, end); break;
    case F_TO: keep_address(p, s, &s->to, name, i, end); break;
    case F_CALL_ID: keep_single(s, &s->call_id, name, i, end); break;
    case F_CSEQ: keep_cseq(p, s, name, i, end); break;
    case F_CONTACT: aw_scan_addrs(p, i, end, s->contact, &s->contacts, AW_CONTACTS, s); break;
    case F_ROUTE: aw_scan_addrs(p, i, end, s->route, &s->routes, AW_ROUTES, s); break;
    case F_RECORD_ROUTE:
        aw_scan_addrs(p, i, end, s->record_route, &s->record_routes, AW_RECORD_ROUTES, s);
        break;
    case F_PATH: aw_scan_addrs(p, i, end, s->path, &s->paths, AW_PATHS, s); break;
    case F_MAX_FORWARDS: keep_max_forwards(p, s, name, i, end); break;
    case F_EXPIRES: keep_expires(p, s, name, i, end); break;
    case F_CONTENT_TYPE: keep_single(s, &s->content_type, name, i, end); break;
    case F_CONTENT_LENGTH: keep_content_length(p, s, name, i, end); break;
    case F_USER_AGENT: keep_single(s, &s->user_agent, name, i, end); break;
    case F_SERVER: keep_single(s, &s->server, name, i, end); break;
    case F_OTHER: break;
    }
}

/* ---- the message ---- */

static void check_whole(const uint8_t *p, aw_sip *s) {
    const size_t at = s->header_end;
    if (!s->vias) aw_flag(s, AW_MISSING_VIA, at);
    if (!s->from.all.off) aw_flag(s, AW_MISSING_FROM, at);
    if (!s->to.all.off) aw_flag(s, AW_MISSING_TO, at);
    if (!s->call_id.off) aw_flag(s, AW_MISSING_CALL_ID, at);
    if (!s->cseq_value.off) aw_flag(s, AW_MISSING_CSEQ, at);
    if (s->status) {
        s->method = (uint16_t)aw_method_of(p + s->cseq_method.off, s->cseq_method.len);
    } else if (s->cseq_method.len &&
               (s->cseq_method.len != s->method_name.len ||
                memcmp(p + s->cseq_method.off, p + s->method_name.off, s->cseq_method.len) != 0)) {
        aw_flag(s, AW_METHOD_MISMATCH, s->cseq_method.off);
    }
}

/* Sets the body. Returns the length of the message, or a code. */
static int scan_body(size_t len, size_t limit, int stream, aw_sip *s) {
    const size_t start = s->header_end, have = limit - start;
    const size_t declared = (size_t)s->content_length[0] << 16 | s->content_length[1];
    const int known = s->content_length_value.off && !flagged(s, AW_BAD_LENGTH);
    size_t body = have;
    if (known && declared > have) {
        aw_flag(s, AW_LENGTH_SHORT, s->content_length_value.off);
    } else if (stream) {
        body = known ? declared : 0; /* without one there is no body: RFC 3261 section 20.14 */
    } else if (known && declared < have) {
        aw_flag(s, AW_LENGTH_LONG, s->content_length_value.off);
    }
    if (body) s->body = span(start, start + body);
    if (stream && known && declared > have)
        return start + declared > 65535 || len > limit ? AW_TOO_LONG : AW_PARTIAL;
    return (int)(start + body);
}

int aw_sip_scan(const uint8_t *p, size_t len, int stream, aw_sip *s) {
    const size_t limit = len > 65535 ? 65535 : len;
    size_t i = 0;

    memset(s, 0, offsetof(aw_sip, via));
    if (len > limit && !stream) return AW_TOO_LONG;
    while (i < limit && (p[i] == '\r' || p[i] == '\n')) i++;
    if (i == limit) return stream && i ? AW_PARTIAL : AW_NOT_SIP;
    if (i) aw_flag(s, AW_LEADING_CRLF, 0);
    if (!is(p[i], C_TOKEN)) return AW_NOT_SIP;

    aw_line line = line_at(p, i, limit, 0, s);
    if (stream && p[line.next - 1] != '\n') { /* no line end yet */
        if (!aw_may_become_sip(p + i, limit - i)) return AW_NOT_SIP;
        return len > limit ? AW_TOO_LONG : AW_PARTIAL;
    }
    if (aw_scan_start_line(p, i, line.end, s) == AW_LINE_NO) return AW_NOT_SIP;
    i = line.next;

    for (;;) {
        if (i == limit) {
            if (stream) return len > limit ? AW_TOO_LONG : AW_PARTIAL;
            aw_flag(s, AW_NO_HEADER_END, i);
            break;
        }
        if (p[i] == '\r' && limit - i >= 2 && p[i + 1] == '\n') {
            i += 2;
            break;
        }
        if (p[i] == '\n') {
            aw_flag(s, AW_BARE_LF, i);
            i++;
            break;
        }
        line = line_at(p, i, limit, 1, s);
        scan_header(p, i, line.end, s);
        i = line.next;
    }
    s->header_end = (uint16_t)i;
    check_whole(p, s);
    return scan_body(len, limit, stream, s);
}
