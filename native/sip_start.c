/* SPDX-License-Identifier: Apache-2.0 */
/* Start lines (RFC 3261 section 7): recognition of SIP, however broken, and its values. */
#include "runs.h"
#include "scan.h"

int aw_plain_start_line(const uint8_t *p, size_t i, size_t end, aw_sip *s) {
    if (end - i < 12) return AW_LINE_NO;
    if (memcmp(p + i, "SIP/2.0 ", 8) == 0) {
        const unsigned hundreds = p[i + 8] - 48u, tens = p[i + 9] - 48u, ones = p[i + 10] - 48u;
        if (hundreds - 1 > 5 || tens > 9 || ones > 9 || p[i + 11] != ' ') return AW_LINE_NO;
        s->status = (uint16_t)(hundreds * 100 + tens * 10 + ones);
        s->reason = span(i + 12, end);
        return AW_LINE_RESPONSE;
    }
    if (memcmp(p + end - 8, " SIP/2.0", 8) != 0) return AW_LINE_NO;
    const size_t method_end = plain(p, i, end, P_TOKEN), version = end - 8;
    aw_addr uri;
    if (method_end == i || p[method_end] != ' ') return AW_LINE_NO;
    memset(&uri, 0, sizeof uri);
    if (aw_plain_uri(p, method_end + 1, end, &uri) != version) return AW_LINE_NO;
    s->method_name = span(i, method_end);
    s->method = (uint16_t)aw_method_of(p + i, method_end - i);
    s->request_uri = span(method_end + 1, version);
    s->request_user = uri.user;
    s->request_host = uri.host;
    s->request_port = uri.port;
    return AW_LINE_REQUEST;
}

/* The only method that it can be, by its first letters. */
static unsigned method_like(const uint8_t *p, size_t len) {
    switch (p[0]) {
    case 'I': return len == 6 ? AW_INVITE : AW_INFO;
    case 'A': return AW_ACK;
    case 'B': return AW_BYE;
    case 'C': return AW_CANCEL;
    case 'R': return len == 8 ? AW_REGISTER : AW_REFER;
    case 'O': return AW_OPTIONS;
    case 'P': return len == 5 ? AW_PRACK : AW_PUBLISH;
    case 'U': return AW_UPDATE;
    case 'M': return AW_MESSAGE;
    case 'S': return AW_SUBSCRIBE;
    case 'N': return AW_NOTIFY;
    default: return AW_OTHER_METHOD;
    }
}

unsigned aw_method_of(const uint8_t *p, size_t len) {
    static const struct {
        char name[10];
        uint8_t len;
    } known[] = {
        [AW_INVITE] = {"INVITE", 6},
        [AW_ACK] = {"ACK", 3},
        [AW_BYE] = {"BYE", 3},
        [AW_CANCEL] = {"CANCEL", 6},
        [AW_REGISTER] = {"REGISTER", 8},
        [AW_OPTIONS] = {"OPTIONS", 7},
        [AW_PRACK] = {"PRACK", 5},
        [AW_UPDATE] = {"UPDATE", 6},
        [AW_INFO] = {"INFO", 4},
        [AW_MESSAGE] = {"MESSAGE", 7},
        [AW_SUBSCRIBE] = {"SUBSCRIBE", 9},
        [AW_NOTIFY] = {"NOTIFY", 6},
        [AW_REFER] = {"REFER", 5},
        [AW_PUBLISH] = {"PUBLISH", 7},
        [AW_OTHER_METHOD] = {"", 0},
    };
    if (!len) return AW_UNKNOWN;
    const unsigned method = method_like(p, len);
    return known[method].len == len && memcmp(p, known[method].name, len) == 0 ? method
                                                                               : AW_OTHER_METHOD;
}

/* Does p[i..end) begin "SIP/" and a digit? */
static int is_version(const uint8_t *p, size_t i, size_t end) {
    return end - i >= 5 && fold16(p + i) == word16("si") && (p[i + 2] | 0x20) == 'p' &&
           p[i + 3] == '/' && is(p[i + 4], C_DIGIT);
}

static int is_blank(uint8_t c) {
    return is(c, C_BLANK);
}

static void read_response(const uint8_t *p, size_t i, size_t end, aw_sip *s) {
    const size_t version = i;
    uint32_t status;
    while (i < end && !is_blank(p[i])) i++;
    if (i - version != 7 || memcmp(p + version + 4, "2.0", 3) != 0)
        flag(s, AW_BAD_VERSION, version);
    const size_t blank = i;
    while (i < end && is_blank(p[i])) i++;
    if (i != blank + 1 || p[blank] != ' ') flag(s, AW_BAD_START_LINE, blank);
    const size_t code = i;
    i = number(p, code, end, &status);
    if (i - code != 3 || status < 100 || status > 699 || (i < end && !is_blank(p[i]))) {
        flag(s, AW_BAD_STATUS, code);
        while (i < end && !is_blank(p[i])) i++;
    }
    /* 0 would say "a request". */
    s->status = status == 0 || status > 65535 ? 65535 : (uint16_t)status;
    if (i < end)
        s->reason = span(i + 1, end);
    else
        flag(s, AW_BAD_START_LINE, i); /* the blank is there even when the phrase is empty */
}

static void read_request(const uint8_t *p, size_t method, size_t method_end, size_t version,
                         size_t end, aw_sip *s) {
    size_t i = method_end, uri_end = version;
    aw_uri uri;
    s->method_name = span(method, method_end);
    s->method = (uint16_t)aw_method_of(p + method, method_end - method);
    while (i < version && is_blank(p[i])) i++;
    while (uri_end > i && is_blank(p[uri_end - 1])) uri_end--;
    if (i != method_end + 1 || uri_end + 1 != version || p[method_end] != ' ' ||
        p[version - 1] != ' ')
        flag(s, AW_BAD_START_LINE, method_end);
    s->request_uri = span(i, uri_end);
    if (end - version != 7 || memcmp(p + version + 4, "2.0", 3) != 0) {
        size_t v = version;
        while (v < end && !is_blank(p[v])) v++;
        if (v - version != 7 || memcmp(p + version + 4, "2.0", 3) != 0)
            flag(s, AW_BAD_VERSION, version);
        if (v < end) flag(s, AW_BAD_START_LINE, v);
    }
    const uint8_t *blank = memchr(p + i, ' ', uri_end - i);
    if (!blank) blank = memchr(p + i, '\t', uri_end - i);
    if (blank) flag(s, AW_BAD_START_LINE, (size_t)(blank - p));
    aw_scan_uri(p, i, uri_end, &uri);
    /* No headers in a Request-URI: RFC 3261 section 19.1.1 */
    if (uri.bad || uri.query) flag(s, AW_BAD_START_LINE, i);
    s->request_user = uri.user;
    s->request_host = uri.host;
    s->request_port = uri.port;
}

int aw_scan_start_line(const uint8_t *p, size_t i, size_t end, aw_sip *out) {
    if (is_version(p, i, end)) {
        if (out) read_response(p, i, end, out);
        return AW_LINE_RESPONSE;
    }
    const size_t method_end = skip_run(p, i, end, C_TOKEN);
    if (method_end == i || method_end >= end || !is_blank(p[method_end])) return AW_LINE_NO;
    /* The version is the last word, unless a broken sender put more behind it. */
    size_t version = end - method_end > 9 && is_blank(p[end - 8]) ? end - 6 : end;
    while (version > method_end + 2) {
        version--;
        if (is_blank(p[version - 1]) && is_version(p, version, end)) {
            if (out) read_request(p, i, method_end, version, end, out);
            return AW_LINE_REQUEST;
        }
    }
    return AW_LINE_NO;
}

int aw_may_become_sip(const uint8_t *p, size_t len) {
    static const char name[] = "sip";
    size_t same = 0;
    while (same < len && same < 3 && (p[same] | 0x20) == name[same]) same++;
    if (same == 3 && len > 3 && p[3] == '/') same++;
    if (same == len) return 1;
    if (same == 4 && is(p[4], C_DIGIT)) return 2;
    const size_t method_end = skip(p, 0, len, C_TOKEN);
    if (method_end == len) return len <= 32;
    if (!method_end || !is_blank(p[method_end])) return 0;
    const size_t uri = method_end + 1, left = len - uri;
    if (begins_scheme(p, uri, len, "sip:") || begins_scheme(p, uri, len, "tel:") ||
        (left >= 5 && fold32(p + uri) == word32("sips") && p[uri + 4] == ':'))
        return 2;
    return 1;
}
