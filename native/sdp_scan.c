/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of an SDP body that decide where media goes (RFC 8866, RFC 3605, RFC 8839). */
#include "runs.h"

enum { BAD_LINE = 1, BAD_PORT = 2, CLIPPED = 4, NO_VERSION = 8 };

/* A line's value. plain: no control character is in it and one is behind it. */
typedef struct {
    size_t i, end;
    int plain;
} sdp_line;

/* The next word of the line; empty at the end. */
static inline aw_span word_of(const uint8_t *p, sdp_line *line) {
    size_t i = line->i;
    if (line->plain) {
        while (p[i] == ' ') i++;
        line->i = plain_short(p, i, P_WORD);
    } else {
        i = skip(p, i, line->end, C_BLANK);
        line->i = find(p, i, line->end, C_BLANK);
    }
    return span(i, line->i);
}

/* nettype addrtype address; the address ends at '/' (TTL or number of addresses). */
static aw_span connection_address(const uint8_t *p, sdp_line line) {
    if (line.plain && line.end - line.i > 7 && memcmp(p + line.i, "IN IP4 ", 7) == 0) {
        const size_t from = line.i + 7, end = plain(p, from, line.end, P_HOST);
        if (end > from && (end == line.end || p[end] == ' ' || p[end] == '/'))
            return span(from, end);
    }
    word_of(p, &line);
    word_of(p, &line);
    aw_span word = word_of(p, &line);
    const uint8_t *slash = word.len ? memchr(p + word.off, '/', word.len) : NULL;
    if (slash) word.len = (uint16_t)(slash - p - word.off);
    if (!word.len) word.off = 0;
    return word;
}

static int scan_port(const uint8_t *p, aw_span word, uint16_t *port) {
    uint32_t value;
    const size_t end = (size_t)word.off + word.len, digits = number(p, word.off, end, &value);
    if (digits == word.off || value > 65535 || (digits < end && p[digits] != '/')) return 0;
    *port = (uint16_t)value;
    return 1;
}

static void scan_media(const uint8_t *p, sdp_line line, aw_media *m, aw_sdp *out) {
    memset(m, 0, sizeof *m);
    m->line = span(line.i, line.end);
    m->kind = word_of(p, &line);
    if (!scan_port(p, word_of(p, &line), &m->port)) out->anomalies |= BAD_PORT;
}

static int begins(const uint8_t *p, size_t i, size_t end, const char *text, size_t length) {
    return end - i >= length && memcmp(p + i, text, length) == 0;
}

static int is_whole(const uint8_t *p, size_t i, size_t end, const char *text, size_t length) {
    return end - i == length && memcmp(p + i, text, length) == 0;
}

enum { WAYS = AW_MEDIA_INACTIVE | AW_MEDIA_SENDONLY | AW_MEDIA_RECVONLY };

/* session: the direction of all media that say none. */
static inline void scan_attribute(const uint8_t *p, sdp_line line, aw_media *m, unsigned *session,
                                  aw_sdp *out) {
    const size_t i = line.i, end = line.end;
    unsigned way = 0;
    switch (p[i]) {
    case 'r':
        if (m && begins(p, i, end, "rtcp:", 5)) {
            if (m->rtcp.off) return;
            m->rtcp = span(i + 5, end);
            line.i = i + 5;
            if (!scan_port(p, word_of(p, &line), &m->rtcp_port)) out->anomalies |= BAD_PORT;
            return;
        }
        if (!is_whole(p, i, end, "recvonly", 8)) return;
        way = AW_MEDIA_RECVONLY;
        break;
    case 's':
        if (is_whole(p, i, end, "sendrecv", 8)) break;
        if (!is_whole(p, i, end, "sendonly", 8)) return;
        way = AW_MEDIA_SENDONLY;
        break;
    case 'c':
        if (m && begins(p, i, end, "candidate:", 10)) {
            m->candidates++;
            m->bits |= AW_MEDIA_CANDIDATE;
        }
        return;
    case 'i':
        if (begins(p, i, end, "ice-ufrag:", 10)) out->ice = 1;
        if (!is_whole(p, i, end, "inactive", 8)) return;
        way = AW_MEDIA_INACTIVE;
        break;
    default: return;
    }
    if (m)
        m->bits = (uint16_t)((m->bits & ~(unsigned)WAYS) | way);
    else
        *session = way;
}

int aw_sdp_scan(const uint8_t *p, size_t len, aw_sdp *out) {
    size_t i = 0;
    int looks = 0, version = 0, clipped = 0;
    unsigned session = 0;
    aw_media *m = NULL;

    memset(out, 0, offsetof(aw_sdp, media));
    if (len > 65535) return AW_TOO_LONG;
    while (i < len) {
        sdp_line line = {i + 2, next_control_near(p, i, len), 1};
        size_t next = line.end + 2;
        if (len - line.end < 2 || !is_crlf(p + line.end)) {
            const uint8_t *lf = memchr(p + line.end, '\n', len - line.end);
            line.plain = 0;
            line.end = lf ? (size_t)(lf - p) : len;
            next = lf ? line.end + 1 : len;
            while (line.end > i && p[line.end - 1] == '\r') line.end--;
        }
        if (line.end < line.i || p[i + 1] != '=') {
            if (line.end > i) out->anomalies |= BAD_LINE;
            i = next;
            continue;
        }
        const uint8_t type = p[i];
        i = next;
        if (type == 'a') { /* most lines are attributes */
            if (line.i < line.end && !clipped) scan_attribute(p, line, m, &session, out);
            continue;
        }
        switch (type) {
        case 'v': version = looks = 1; break;
        case 'o':
            looks = 1;
            if (out->origin.off) break;
            out->origin = span(line.i, line.end);
            word_of(p, &line);
            word_of(p, &line);
            word_of(p, &line);
            if (line.plain && p[line.i] == ' ') line.i++;
            out->origin_address = connection_address(p, line);
            if (!out->origin_address.off) out->anomalies |= BAD_LINE;
            break;
        case 'c':
            looks = 1;
            if (!clipped) {
                aw_span *kept = m ? &m->address : &out->address;
                if (!kept->off) *kept = connection_address(p, line);
                if (!kept->off) out->anomalies |= BAD_LINE;
            }
            break;
        case 'm':
            looks = 1;
            if (out->media_count == AW_MEDIA) {
                out->anomalies |= CLIPPED;
                clipped = 1; /* the following lines belong to media that are not here */
                break;
            }
            m = &out->media[out->media_count++];
            scan_media(p, line, m, out);
            m->bits = (uint16_t)session;
            break;
        default:
            if (type < 'a' || type > 'z') out->anomalies |= BAD_LINE;
            break;
        }
    }
    if (!looks) return AW_NOT_SIP;
    if (!version) out->anomalies |= NO_VERSION;
    return (int)len;
}
