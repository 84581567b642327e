/* SPDX-License-Identifier: Apache-2.0 */
/* Via (RFC 3261 section 20.42, rport: RFC 3581). */
#include "runs.h"
#include "scan.h"

/* LWS "/" LWS behind a protocol name or version; 0 when it is not there. */
static size_t slash(const uint8_t *p, size_t i, size_t end) {
    i = skip(p, i, end, C_LWS);
    return i < end && p[i] == '/' ? skip(p, i + 1, end, C_LWS) : 0;
}

/* sent-protocol. Returns the index behind the transport, 0 when it is malformed. */
static size_t scan_protocol(const uint8_t *p, size_t i, size_t end, aw_via *v, aw_sip *s) {
    if (end - i >= 8 && memcmp(p + i, "SIP/2.0/", 8) == 0) {
        i += 8;
        if (i < end && is(p[i], C_LWS)) i = skip(p, i, end, C_LWS);
    } else {
        const size_t name = i;
        i = skip(p, i, end, C_TOKEN);
        if (i - name != 3 || fold16(p + name) != word16("si") || (p[name + 2] | 0x20) != 'p')
            flag(s, AW_BAD_VIA, name);
        if (!(i = slash(p, i, end))) return 0;
        const size_t version = i;
        i = skip(p, i, end, C_TOKEN);
        if (i - version != 3 || memcmp(p + version, "2.0", 3) != 0) flag(s, AW_BAD_VIA, version);
        if (!(i = slash(p, i, end))) return 0;
    }
    const size_t transport = i;
    i = skip_run(p, i, end, C_TOKEN);
    if (i == transport) return 0;
    v->transport = span(transport, i);
    return i;
}

/* host [ COLON port ]. Returns the index behind, 0 without a host. */
static size_t scan_sent_by(const uint8_t *p, size_t i, size_t end, aw_via *v, aw_sip *s) {
    if (i < end && p[i] == '[') {
        const uint8_t *close = memchr(p + i, ']', end - i);
        if (!close) return 0;
        v->host = span(i + 1, (size_t)(close - p));
        i = (size_t)(close - p) + 1;
    } else {
        const size_t from = i;
        i = skip_run(p, i, end, C_HOST);
        if (i == from) return 0;
        v->host = span(from, i);
    }
    const size_t colon = skip(p, i, end, C_LWS);
    if (colon < end && p[colon] == ':') {
        uint32_t port;
        const size_t digits = skip(p, colon + 1, end, C_LWS);
        i = number(p, digits, end, &port);
        if (i == digits || port == 0 || port > 65535)
            flag(s, AW_BAD_VIA, colon);
        else
            v->port = (uint16_t)port;
    }
    return i;
}

static void keep_param(const uint8_t *p, size_t name, size_t length, aw_span value, aw_via *v,
                       aw_sip *s) {
    const uint8_t *n = p + name;
    if (length == 6) {
        if (fold32(n) == word32("bran") && fold16(n + 4) == word16("ch") && !v->branch.off)
            v->branch = value;
    } else if (length == 5) {
        if (fold32(n) == word32("rpor") && (n[4] | 0x20) == 't' && !(v->bits & AW_VIA_RPORT)) {
            uint32_t port;
            v->bits |= AW_VIA_RPORT;
            v->rport = value;
            if (!value.off) return;
            const size_t end = (size_t)value.off + value.len;
            if (value.len == 0 || number(p, value.off, end, &port) != end || port == 0 ||
                port > 65535)
                flag(s, AW_BAD_VIA, value.off);
            else
                v->rport_value = (uint16_t)port;
        } else if (fold32(n) == word32("madd") && (n[4] | 0x20) == 'r' && !v->maddr.off) {
            v->maddr = value;
        }
    } else if (length == 8) {
        if (fold32(n) == word32("rece") && fold32(n + 4) == word32("ived") && !v->received.off)
            v->received = value;
    }
}

/* unclosed: see quoted_end(). */
static size_t scan_params(const uint8_t *p, size_t i, size_t end, aw_via *v, aw_sip *s,
                          int *unclosed) {
    for (;;) {
        if (i < end && p[i] != ';') i = skip(p, i, end, C_LWS);
        if (i == end || p[i] == ',') return i;
        if (p[i] != ';') {
            flag(s, AW_BAD_VIA, i);
            while (i < end && p[i] != ';' && p[i] != ',') {
                const size_t behind = p[i] == '"' ? quoted_end(p, i, end, unclosed) : 0;
                i = behind ? behind : i + 1;
            }
            continue;
        }
        aw_span value = {0, 0};
        i = skip(p, i + 1, end, C_LWS);
        const size_t name = i;
        i = skip_run(p, i, end, C_TOKEN);
        const size_t length = i - name;
        if (!length) {
            flag(s, AW_BAD_VIA, name);
            continue;
        }
        if (i < end && is(p[i], C_LWS)) i = skip(p, i, end, C_LWS);
        if (i < end && p[i] == '=') {
            i = skip(p, i + 1, end, C_LWS);
            const size_t from = i;
            if (i < end && p[i] == '"') {
                i = quoted_end(p, i, end, unclosed);
                if (!i) {
                    flag(s, AW_UNTERMINATED_QUOTE, from);
                    i = end;
                }
            } else {
                i = find(p, i, end, C_VALUE_END);
            }
            value = span(from, i);
        }
        keep_param(p, name, length, value, v, s);
    }
}

static size_t scan_via(const uint8_t *p, size_t i, size_t end, aw_via *v, aw_sip *s,
                       int *unclosed) {
    const size_t from = i;
    memset(v, 0, sizeof *v);
    i = scan_protocol(p, i, end, v, s);
    if (i) {
        const size_t sent_by = skip(p, i, end, C_LWS);
        i = sent_by > i ? scan_sent_by(p, sent_by, end, v, s) : 0;
    }
    if (i) {
        i = scan_params(p, i, end, v, s, unclosed);
    } else {
        flag(s, AW_BAD_VIA, from);
        i = aw_next_comma(p, from, end);
    }
    v->all = span(from, trim(p, from, i));
    return i;
}

void aw_scan_vias(const uint8_t *p, size_t i, size_t end, aw_sip *s) {
    int unclosed = 0;
    for (;;) {
        i = skip(p, i, end, C_LWS);
        if (i == end || p[i] == ',') {
            flag(s, AW_BAD_VIA, i);
        } else if (s->vias == AW_VIAS) {
            flag(s, AW_CLIPPED, i);
            return;
        } else {
            i = scan_via(p, i, end, &s->via[s->vias], s, &unclosed);
            s->vias++;
        }
        if (i == end) return;
        i++;
    }
}

/* ---- the plain way ---- */

size_t aw_plain_via(const uint8_t *p, size_t i, size_t known, aw_via *v) {
    const size_t from = i;
    if (known - i < 16 || memcmp(p + i, "SIP/2.0/", 8) != 0) return 0;
    memset(v, 0, sizeof *v);
    i = plain_short(p, from + 8, P_HOST);
    if (p[i] != ' ' || i == from + 8) return 0;
    v->transport = span(from + 8, i);
    i++;
    if (!(i = plain_host(p, i, known, &v->host))) return 0;
    if (p[i] == ':' && !(i = plain_port(p, i + 1, &v->port))) return 0;
    for (;; i += 3) {
        while (p[i] == ';') {
            aw_span *kept = NULL;
            const size_t name = i + 1;
            if (known - name < 10) return 0;
            const uint32_t word = fold32(p + name);
            if (word == word32("bran") && fold16(p + name + 4) == word16("ch") &&
                p[name + 6] == '=') {
                kept = &v->branch;
                i = name + 7;
            } else if (word == word32("rece") && fold32(p + name + 4) == word32("ived")) {
                if (p[name + 8] != '=') return 0;
                kept = &v->received;
                i = name + 9;
            } else if (word == word32("rpor") && (p[name + 4] | 0x20) == 't') {
                if (v->bits & AW_VIA_RPORT) return 0;
                v->bits = AW_VIA_RPORT;
                i = name + 5;
                if (p[i] == '=') {
                    const size_t digits = i + 1;
                    if (!(i = plain_port(p, digits, &v->rport_value))) return 0;
                    v->rport = span(digits, i);
                }
                continue;
            } else if (word == word32("madd")) {
                return 0;
            } else {
                i = plain_short(p, name, P_TOKEN);
                if (i == name) return 0;
                if (p[i] != '=') continue;
                i++;
            }
            const size_t value = i;
            i = plain_value(p, value, known);
            if (kept && !kept->off) *kept = span(value, i);
        }
        if (p[i] == ',' || ends_line(p, i)) break;
        if (!folds_to_param(p, i, known)) return 0;
    }
    v->all = span(from, i);
    return i;
}
