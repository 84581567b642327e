/* The lines of an SDP body that decide where media goes (RFC 8866, RFC 3605, RFC 8839). */
#include <stddef.h>
#include <stdint.h>
#include "algwatch_native.h"
#include "scan.h"

enum { BAD_LINE = 1, BAD_PORT = 2, CLIPPED = 4, NO_VERSION = 8 };

/* The word at or behind i; empty at the end. */
static aw_span word_at(const uint8_t *p, size_t i, size_t end) {
    i = skip(p, i, end, C_BLANK);
    return span(i, find(p, i, end, C_BLANK));
}

static size_t behind(aw_span s) {
    return (size_t)s.off + s.len;
}

/* nettype addrtype address; the address ends at '/' (TTL or number of addresses). */
static aw_span connection_address(const uint8_t *p, size_t i, size_t end) {
    aw_span word = word_at(p, i, end);
    word = word_at(p, behind(word), end);
    word = word_at(p, behind(word), end);
    const uint8_t *slash = word.len ? memchr(p + word.off, '/', word.len) : NULL;
    if (slash) word.len = (uint16_t)(slash - p - word.off);
    if (!word.len) word.off = 0;
    return word;
}

static int scan_port(const uint8_t *p, aw_span word, uint16_t *port) {
    uint32_t value;
    const size_t end = behind(word), digits = number(p, word.off, end, &value);
    if (digits == word.off || value > 65535 || (digits < end && p[digits] != '/')) return 0;
    *port = (uint16_t)value;
    return 1;
}

static void scan_media(const uint8_t *p, size_t i, size_t end, aw_media *m, aw_sdp *out) {
    memset(m, 0, sizeof *m);
    m->line = span(i, end);
    m->kind = word_at(p, i, end);
    const aw_span port = word_at(p, behind(m->kind), end);
    if (!scan_port(p, port, &m->port)) out->anomalies |= BAD_PORT;
}

static int begins(const uint8_t *p, size_t i, size_t end, const char *text, size_t length) {
    return end - i >= length && memcmp(p + i, text, length) == 0;
}

static int is_whole(const uint8_t *p, size_t i, size_t end, const char *text, size_t length) {
    return end - i == length && memcmp(p + i, text, length) == 0;
}

static void scan_attribute(const uint8_t *p, size_t i, size_t end, aw_media *m, int *inactive,
                           aw_sdp *out) {
    switch (p[i]) {
    case 'r':
        if (m && begins(p, i, end, "rtcp:", 5)) {
            if (m->rtcp.off) return;
            m->rtcp = span(i + 5, end);
            if (!scan_port(p, word_at(p, i + 5, end), &m->rtcp_port)) out->anomalies |= BAD_PORT;
            return;
        }
        if (!is_whole(p, i, end, "recvonly", 8)) return;
        break;
    case 's':
        if (!is_whole(p, i, end, "sendrecv", 8) && !is_whole(p, i, end, "sendonly", 8)) return;
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
        if (m)
            m->bits |= AW_MEDIA_INACTIVE;
        else
            *inactive = 1;
        return;
    default: return;
    }
    if (m)
        m->bits = (uint16_t)(m->bits & ~AW_MEDIA_INACTIVE);
    else
        *inactive = 0;
}

int aw_sdp_scan(const uint8_t *p, size_t len, aw_sdp *out) {
    size_t i = 0;
    int looks = 0, version = 0, inactive = 0, clipped = 0;
    aw_media *m = NULL;

    memset(out, 0, offsetof(aw_sdp, media));
    if (len > 65535) return AW_TOO_LONG;
    while (i < len) {
        const uint8_t *lf = memchr(p + i, '\n', len - i);
        size_t end = lf ? (size_t)(lf - p) : len;
        const size_t next = lf ? end + 1 : len;
        while (end > i && p[end - 1] == '\r') end--;
        if (end == i) {
            i = next;
            continue;
        }
        if (end - i < 2 || p[i + 1] != '=') {
            out->anomalies |= BAD_LINE;
            i = next;
            continue;
        }
        const uint8_t type = p[i];
        i += 2;
        switch (type) {
        case 'v': version = looks = 1; break;
        case 'o':
            looks = 1;
            if (out->origin.off) break;
            out->origin = span(i, end);
            {
                aw_span word = word_at(p, i, end);
                word = word_at(p, behind(word), end);
                word = word_at(p, behind(word), end);
                out->origin_address = connection_address(p, behind(word), end);
                if (!out->origin_address.off) out->anomalies |= BAD_LINE;
            }
            break;
        case 'c':
            looks = 1;
            if (!clipped) {
                aw_span *kept = m ? &m->address : &out->address;
                if (!kept->off) *kept = connection_address(p, i, end);
                if (!kept->off) out->anomalies |= BAD_LINE;
            }
            break;
        case 'm':
            looks = 1;
            if (out->media_count == AW_MEDIA) {
                out->anomalies |= CLIPPED;
                clipped = 1; /* what follows belongs to media that are not here */
                break;
            }
            m = &out->media[out->media_count++];
            scan_media(p, i, end, m, out);
            if (inactive) m->bits |= AW_MEDIA_INACTIVE;
            break;
        case 'a':
            if (i < end && !clipped) scan_attribute(p, i, end, m, &inactive, out);
            break;
        default:
            if (type < 'a' || type > 'z') out->anomalies |= BAD_LINE;
            break;
        }
        i = next;
    }
    if (!looks) return AW_NOT_SIP;
    if (!version) out->anomalies |= NO_VERSION;
    return (int)len;
}
