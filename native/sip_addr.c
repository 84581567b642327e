/* SPDX-License-Identifier: Apache-2.0 */
/* URIs, and name-addr / addr-spec with parameters (RFC 3261 sections 19.1 and 20.10). */
#include "runs.h"
#include "scan.h"

/* host [ ":" port ], also used by aw_scan_uri only: Via allows white space and has its own. */
static size_t scan_hostport(const uint8_t *p, size_t i, size_t end, aw_uri *out) {
    if (i < end && p[i] == '[') {
        const uint8_t *close = memchr(p + i, ']', end - i);
        if (!close) {
            out->bad = 1;
            return end;
        }
        out->host = span(i + 1, (size_t)(close - p));
        i = (size_t)(close - p) + 1;
    } else {
        const size_t from = i;
        i = skip_run(p, i, end, C_HOST);
        if (i == from) {
            out->bad = 1;
            return i;
        }
        out->host = span(from, i);
    }
    if (i < end && p[i] == ':') {
        uint32_t port;
        const size_t behind = number(p, i + 1, end, &port);
        if (behind == i + 1 || port == 0 || port > 65535)
            out->bad = 1;
        else
            out->port = (uint16_t)port;
        i = behind;
    }
    return i;
}

static int has_lr(const uint8_t *p, size_t i, size_t end) {
    while (end - i >= 2) {
        if (fold16(p + i) == word16("lr") &&
            (end - i == 2 || p[i + 2] == ';' || p[i + 2] == '=' || is(p[i + 2], C_LWS)))
            return 1;
        while (i < end && p[i] != ';') i++;
        if (i == end) break;
        i++;
    }
    return 0;
}

static int is_scheme(const uint8_t *p, size_t i, size_t end) {
    const size_t from = i;
    while (i < end && is(p[i], C_HOST | C_TOKEN)) i++;
    return i > from && i < end && p[i] == ':';
}

static size_t find_colon(const uint8_t *p, size_t i, size_t end) {
    while (i < end && p[i] != ':') i++;
    return i;
}

void aw_scan_uri(const uint8_t *p, size_t i, size_t end, aw_uri *out) {
    memset(out, 0, sizeof *out);
    if (begins_scheme(p, i, end, "sip:")) {
        i += 4;
    } else if (end - i >= 5 && fold32(p + i) == word32("sips") && p[i + 4] == ':') {
        i += 5;
        out->bits = AW_ADDR_SIPS;
    } else if (begins_scheme(p, i, end, "tel:")) {
        const size_t from = i + 4;
        out->bits = AW_ADDR_TEL;
        for (i = from; i < end && p[i] != ';';) i++;
        out->user = span(from, i);
        out->bad = i == from;
        if (i < end) out->params = span(i + 1, end);
        return;
    } else {
        out->bits = AW_ADDR_OTHER;
        out->bad = !is_scheme(p, i, end);
        return;
    }
    size_t stop = find(p, i, end, C_USER_END);
    if (stop < end) {
        const size_t user = stop;
        if (p[stop] != '@') { /* a password, a ';' in the user part, or no user part */
            const uint8_t *at = memchr(p + stop, '@', end - stop);
            stop = at ? (size_t)(at - p) : end;
        }
        if (stop < end) {
            const size_t colon = p[user] == ':' ? user : find_colon(p, user, stop);
            out->user = span(i, colon);
            i = stop + 1;
        }
    }
    i = scan_hostport(p, i, end, out);
    if (i < end && p[i] == ';') {
        const uint8_t *query = memchr(p + i, '?', end - i);
        stop = query ? (size_t)(query - p) : end;
        out->query = query != NULL;
        out->params = span(i + 1, stop);
        if (has_lr(p, i + 1, stop)) out->bits |= AW_ADDR_LR;
    } else if (i < end) {
        out->query = p[i] == '?';
        out->bad |= p[i] != '?';
    }
}

/* Parameters of an address from i on: everything up to the ',' that ends a list's value. unclosed:
 * see quoted_end(). */
static size_t scan_params(const uint8_t *p, size_t i, size_t end, int list, aw_addr *a, aw_sip *s,
                          int *unclosed) {
    size_t from = 0, last = i;
    for (;;) {
        i = skip(p, i, end, C_LWS);
        if (i == end || (list && p[i] == ',')) break;
        if (p[i] != ';') {
            flag(s, AW_BAD_ADDR, i);
            /* Skip bytes that do not belong here, up to the next parameter. */
            while (i < end && p[i] != ';' && !(list && p[i] == ',')) {
                const size_t behind = p[i] == '"' ? quoted_end(p, i, end, unclosed) : 0;
                i = behind ? behind : i + 1;
            }
            last = i;
            continue;
        }
        i = skip(p, i + 1, end, C_LWS);
        if (!from) from = i;
        const size_t name = i;
        i = skip_run(p, i, end, C_TOKEN);
        const size_t length = i - name;
        last = i;
        if (!length) {
            flag(s, AW_BAD_ADDR, name);
            continue;
        }
        if (i < end && is(p[i], C_LWS)) i = skip(p, i, end, C_LWS);
        if (i == end || p[i] != '=') continue;
        i = skip(p, i + 1, end, C_LWS);
        const size_t value = i;
        if (i < end && p[i] == '"') {
            i = quoted_end(p, i, end, unclosed);
            if (!i) {
                flag(s, AW_UNTERMINATED_QUOTE, value);
                i = end;
            }
        } else {
            i = find(p, i, end, C_VALUE_END);
        }
        last = i;
        if (length == 3) {
            if (fold16(p + name) == word16("ta") && (p[name + 2] | 0x20) == 'g' && !a->tag.off)
                a->tag = span(value, i);
        } else if (length == 7) {
            if (fold32(p + name) == word32("expi") && fold32(p + name + 3) == word32("ires") &&
                !a->expires.off)
                a->expires = span(value, i);
        }
    }
    if (from) a->params = span(from, trim(p, from, last));
    a->all.len = (uint16_t)(trim(p, a->all.off, i) - a->all.off);
    return i;
}

/* One name-addr or addr-spec with its parameters. Returns the index of the ',' behind it (lists
 * only) or end. unclosed: see quoted_end(). */
static size_t scan_addr(const uint8_t *p, size_t i, size_t end, int list, aw_addr *a, aw_sip *s,
                        int *unclosed) {
    const size_t from = i;
    size_t open = end, uri_end;
    aw_uri uri;

    memset(a, 0, sizeof *a);
    a->all.off = (uint16_t)from;
    if (p[i] == '*') {
        const size_t next = skip(p, i + 1, end, C_LWS);
        if (next == end || p[next] == ',' || p[next] == ';') {
            a->bits = AW_ADDR_STAR;
            return scan_params(p, i + 1, end, list, a, s, unclosed);
        }
    }
    for (;;) { /* to the '<', or to the end of an addr-spec */
        i = find(p, i, end, C_TEXT_END);
        if (i == end || p[i] == ';' || (p[i] == ',' && list)) break;
        if (p[i] == '<') {
            open = i;
            break;
        }
        if (p[i] == '"') {
            const size_t behind = quoted_end(p, i, end, unclosed);
            if (!behind) flag(s, AW_UNTERMINATED_QUOTE, i);
            if (i != from) flag(s, AW_BAD_ADDR, i);
            i = behind ? behind : i + 1;
            continue;
        }
        flag(s, AW_BAD_ADDR, i); /* a comma where only one value may be */
        i++;
    }
    if (open < end) {
        const uint8_t *close = memchr(p + open, '>', end - open);
        const size_t shown = trim(p, from, open);
        size_t start = skip(p, open + 1, end, C_LWS);
        if (shown > from) a->display = span(from, shown);
        a->bits = AW_ADDR_ANGLE;
        if (close) {
            uri_end = (size_t)(close - p);
            i = uri_end + 1;
        } else {
            flag(s, AW_UNTERMINATED_ANGLE, open);
            for (i = start; i < end && !is(p[i], C_VALUE_END);) i++;
            uri_end = i;
        }
        if (start > uri_end) start = uri_end;
        const size_t trimmed = trim(p, start, uri_end);
        if (start != open + 1 || trimmed != uri_end) flag(s, AW_BAD_ADDR, open);
        a->uri = span(start, trimmed);
    } else {
        a->uri = span(from, trim(p, from, i));
    }
    aw_scan_uri(p, a->uri.off, (size_t)a->uri.off + a->uri.len, &uri);
    /* A URI with headers must stand in < > (RFC 3261 section 20). */
    if (uri.bad || (uri.query && open == end)) flag(s, AW_BAD_ADDR, a->uri.off);
    a->user = uri.user;
    a->host = uri.host;
    a->uri_params = uri.params;
    a->port = uri.port;
    a->bits |= uri.bits;
    return scan_params(p, i, end, list, a, s, unclosed);
}

void aw_scan_addr(const uint8_t *p, size_t i, size_t end, aw_addr *a, aw_sip *s) {
    int unclosed = 0;
    scan_addr(p, i, end, 0, a, s, &unclosed);
}

void aw_scan_addrs(const uint8_t *p, size_t i, size_t end, aw_addr *list, uint16_t *count,
                   unsigned limit, aw_sip *s) {
    int unclosed = 0;
    for (;;) {
        i = skip(p, i, end, C_LWS);
        if (i == end || p[i] == ',') {
            flag(s, AW_BAD_ADDR, i); /* nothing between, before or behind commas */
        } else if (*count == limit) {
            flag(s, AW_CLIPPED, i);
            return;
        } else {
            i = scan_addr(p, i, end, 1, &list[*count], s, &unclosed);
            ++*count;
        }
        if (i == end) return;
        i++;
    }
}

/* ---- the plain way ---- */

/* URI parameters behind the ';' at i. Returns the index of the byte that stopped them. */
static inline size_t plain_uri_params(const uint8_t *p, size_t i, size_t limit, aw_addr *a) {
    const size_t from = i + 1;
    const int sip = !(a->bits & AW_ADDR_TEL);
    do {
        i++;
        if (sip && limit - i >= 3 && fold16(p + i) == word16("lr") &&
            (p[i + 2] == ';' || p[i + 2] == '>' || p[i + 2] == '=' || p[i + 2] == ' '))
            a->bits |= AW_ADDR_LR;
        i = plain(p, i, limit, P_URI);
    } while (p[i] == ';');
    a->uri_params = span(from, i);
    return i;
}

/* A URI up to its parameters. Returns the index behind, 0 when it is not plain. */
static inline size_t plain_uri_front(const uint8_t *p, size_t i, size_t limit, aw_addr *a) {
    if (limit - i < 5 || p[i + 3] != ':') return 0;
    const uint32_t scheme = fold32(p + i);
    const int sip = scheme == word32("sip:");
    if (!sip && scheme != word32("tel:")) return 0;
    /* Most numbers have a '+', which no host has. */
    const size_t from = i + 4, plus = p[from] == '+';
    i = plain(p, from + plus, limit, P_USER);
    if (!sip) {
        if (i == from) return 0;
        a->user = span(from, i);
        a->bits |= AW_ADDR_TEL;
        return i;
    }
    if (p[i] == '@') {
        a->user = span(from, i);
        i++;
    } else {
        i = from;
    }
    if (!(i = plain_host(p, i, limit, &a->host))) return 0;
    return p[i] == ':' ? plain_port(p, i + 1, &a->port) : i;
}

size_t aw_plain_uri(const uint8_t *p, size_t i, size_t limit, aw_addr *a) {
    i = plain_uri_front(p, i, limit, a);
    return i && p[i] == ';' ? plain_uri_params(p, i, limit, a) : i;
}

/* The quoted text at i. Returns the index behind the closing quote, 0 when it is not plain. */
static size_t plain_quoted(const uint8_t *p, size_t i, size_t limit) {
    while (p[i = plain(p, i + 1, limit, P_QUOTED)] == '\\')
        if (aw_plain[p[++i]] & P_WORD && p[i] != ' ') return 0;
    return p[i] == '"' ? i + 1 : 0;
}

/* Parameters from the ';' at i on. Returns the index of the byte that stopped them, or 0. */
static inline size_t plain_params(const uint8_t *p, size_t i, size_t limit, aw_addr *a) {
    do {
        aw_span *kept = NULL;
        const size_t name = i + 1;
        if (limit - name < 4) return 0;
        const uint32_t word = fold32(p + name);
        if (word == word32("tag=") && p[name + 3] == '=') {
            kept = &a->tag;
            i = name + 4;
        } else {
            i = plain_short(p, name, P_TOKEN);
            if (i == name) return 0;
            if (p[i] != '=') continue;
            if (i == name + 7 && word == word32("expi") && fold32(p + name + 3) == word32("ires"))
                kept = &a->expires;
            i++;
        }
        const size_t value = i;
        if (p[i] == '"') {
            if (!(i = plain_quoted(p, i, limit))) return 0;
        } else {
            i = plain_value(p, value, limit);
        }
        if (kept && !kept->off) *kept = span(value, i);
    } while (p[i] == ';');
    return i;
}

/* The display name at i. Returns the index of the '<', 0 when it is not plain. */
static size_t plain_display(const uint8_t *p, size_t i, size_t limit) {
    const size_t from = i;
    if (p[i] == '"') {
        if (!(i = plain_quoted(p, i, limit))) return 0;
        while (p[i] == ' ') i++;
    } else {
        while (p[i = plain(p, i, limit, P_TOKEN)] == ' ') i++;
    }
    return p[i] == '<' && i > from ? i : 0;
}

/* "*" as the whole value. */
static size_t plain_star(const uint8_t *p, size_t i, aw_addr *a) {
    if (!ends_line(p, i + 1)) return 0;
    memset(a, 0, sizeof *a);
    a->all = span(i, i + 1);
    a->bits = AW_ADDR_STAR;
    return i + 1;
}

size_t aw_plain_addr(const uint8_t *p, size_t i, size_t known, aw_addr *a) {
    const size_t from = i;
    if (known - i < 5) return 0;
    if (p[i] == '<' || p[i + 3] != ':') {
        if (p[i] != '<' && !(i = plain_display(p, i, known)))
            return p[from] == '*' ? plain_star(p, from, a) : 0;
        memset(a, 0, sizeof *a);
        if (i > from) a->display = span(from, trim(p, from, i));
        a->bits = AW_ADDR_ANGLE;
        const size_t open = i + 1;
        if (!(i = plain_uri_front(p, open, known, a))) return 0;
        if (p[i] == ';') i = plain_uri_params(p, i, known, a);
        if (p[i] != '>') return 0;
        a->uri = span(open, i);
        i++;
    } else {
        if (aw_plain[p[i]] & P_TOKEN) return 0;
        memset(a, 0, sizeof *a);
        if (!(i = plain_uri_front(p, i, known, a))) return 0;
        a->uri = span(from, i);
    }
    for (size_t first = 0;; i += 3) {
        if (p[i] == ';') {
            if (!first) first = i + 1;
            if (!(i = plain_params(p, i, known, a))) return 0;
            a->params = span(first, i);
        }
        if (p[i] == ',' || ends_line(p, i)) break;
        if (!folds_to_param(p, i, known)) return 0;
    }
    a->all = span(from, i);
    return i;
}
