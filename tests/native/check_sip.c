/* SPDX-License-Identifier: Apache-2.0 */
/* Scanners: nothing outside the input is read, no span leaves it, and the result depends on the
 * input alone. Each message is scanned whole and cut at every byte. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "algwatch_native.h"
#include "guard.h"

#define START "INVITE sip:bob@[2001:db8::9]:5062;transport=tcp SIP/2.0\r\n"

static const char *const messages[] = {
    START
    "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKa;rport;received=198.51.100.7, "
    "SIP / 2.0 / TCP [2001:db8::1] : 5061 ;maddr=x ; branch = \"q\\\"\"\r\n"
    "Record-Route: <sip:p1;lr>,<sip:p2;lr>\r\nRoute: <sip:r@h>\r\nPath: <sip:p>\r\n"
    "From: \"A \\\"q\\\", B\" <sip:a:pw@h:5070;lr?x=y>;tag=1;x\r\nTo: tel:+49;tag=\r\n"
    "Contact: *\r\nm: Bob <sip:b@h>;expires=60 , sips:c@h:1;q=0.1,\r\n"
    "Call-ID: x\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nExpires: 3600\r\n"
    "Content-Type: application/sdp\r\nUser-Agent: u\r\nServer: s\r\nContent-Length: 4\r\n\r\nv=0\n",
    "SIP/2.0 200 OK\r\nv:SIP/2.0/UDP h;rport=1\r\nf:<sip:a@b\r\n ;tag=x>\r\nt:\"x <sip:y>\r\n"
    "i : 1\r\nCSeq\t: 4294967296 \r\n X\r\nl: 99\r\n\r\n",
    "\r\n\r\nOPTIONS sip:x SIP/3.0 \nVia:;,,\nContact:\nTo: <\nFrom: \"\nCSeq: x\nContent-Length: "
    "-1\n\nbody",
    "BYE  SIP/2.0\r\n: x\r\nno colon\r\n folded\r\n\r\n",
    "SIP/2.0 99999999999 \r\n\r\n",
    "REGISTER sip:h SIP/2.0\r\nContact: <sip:a@[::1]:99999;lr=on>;expires=\"1\r\nVia: SIP/2.0/UDP "
    "[::1\r\nVia: SIP/2.0\r\nVia: SIP/2.0/UDP\r\nVia: HTTP/1.1/UDP h:;=;branch\r\n\r\n",
};

static const char *const bodies[] = {
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1/127\r\nt=0 0\r\na=ice-ufrag:x\r\n"
    "m=audio 49170/2 RTP/AVP 0\r\nc=IN IP6 ::1\r\na=rtcp:49171 IN IP4 192.0.2.1\r\n"
    "a=candidate:1 1 UDP 1 192.0.2.1 1 typ host\r\na=inactive\r\nm=video 0 x\r\n",
    "o=\nc=\nm=\na=\n=\nm=audio\nm=audio 99999\na=rtcp:\nv",
    "m=a 1\nm=a 1\nm=a 1\nm=a 1\nm=a 1\nm=a 1\nm=a 1\nm=a 1\nm=a 1\nc=IN IP4 9\n",
};

static void span_inside(aw_span s, size_t len) {
    CHECK((size_t)s.off + s.len <= len);
}

static void addr_inside(const aw_addr *a, size_t len) {
    span_inside(a->all, len), span_inside(a->display, len), span_inside(a->uri, len);
    span_inside(a->user, len), span_inside(a->host, len), span_inside(a->uri_params, len);
    span_inside(a->params, len), span_inside(a->tag, len), span_inside(a->expires, len);
}

static void sip_inside(const aw_sip *s, size_t len) {
    const aw_span *first = &s->method_name, *spans[] = {first,
                                                        &s->request_uri,
                                                        &s->request_user,
                                                        &s->request_host,
                                                        &s->reason,
                                                        &s->call_id,
                                                        &s->cseq_value,
                                                        &s->cseq_method,
                                                        &s->max_forwards_value,
                                                        &s->expires,
                                                        &s->content_type,
                                                        &s->content_length_value,
                                                        &s->user_agent,
                                                        &s->server,
                                                        &s->session_expires,
                                                        &s->body};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) span_inside(*spans[i], len);
    CHECK(s->vias <= AW_VIAS && s->contacts <= AW_CONTACTS && s->routes <= AW_ROUTES);
    CHECK(s->record_routes <= AW_RECORD_ROUTES && s->paths <= AW_PATHS && s->header_end <= len);
    for (int i = 0; i < AW_ANOMALIES; i++) CHECK(s->anomaly_at[i] <= len);
    addr_inside(&s->from, len);
    addr_inside(&s->to, len);
    for (int i = 0; i < s->vias; i++) {
        const aw_via *v = &s->via[i];
        span_inside(v->all, len), span_inside(v->transport, len), span_inside(v->host, len);
        span_inside(v->branch, len), span_inside(v->received, len), span_inside(v->rport, len);
        span_inside(v->maddr, len);
    }
    for (int i = 0; i < s->contacts; i++) addr_inside(&s->contact[i], len);
    for (int i = 0; i < s->routes; i++) addr_inside(&s->route[i], len);
    for (int i = 0; i < s->record_routes; i++) addr_inside(&s->record_route[i], len);
    for (int i = 0; i < s->paths; i++) addr_inside(&s->path[i], len);
}

#define SAME(member, count)                                                                        \
    CHECK(memcmp(a->member, b->member, (size_t)(count) * sizeof *a->member) == 0)

static void same_sip(const aw_sip *a, const aw_sip *b) {
    CHECK(memcmp(a, b, offsetof(aw_sip, via)) == 0);
    SAME(via, a->vias);
    SAME(contact, a->contacts);
    SAME(route, a->routes);
    SAME(record_route, a->record_routes);
    SAME(path, a->paths);
}

static void poisoned(void *p, size_t size, int pattern) {
    memset(p, pattern, size);
}

/* Entries past a count keep what the buffer held: "not written" is the contract. */
static void untouched(const aw_sip *s, int pattern) {
    if (s->vias < AW_VIAS) CHECK(((const uint8_t *)&s->via[s->vias])[0] == pattern);
    if (s->contacts < AW_CONTACTS) CHECK(((const uint8_t *)&s->contact[s->contacts])[0] == pattern);
    if (s->paths < AW_PATHS) CHECK(((const uint8_t *)&s->path[s->paths])[0] == pattern);
}

static int scan_everywhere(const uint8_t *p, size_t len, int stream) {
    static aw_sip first, other;
    int code = 0;
    for (int at_end = 0; at_end < 2; at_end++) {
        const uint8_t *input = guarded(p, len, at_end);
        poisoned(&first, sizeof first, 0x5a);
        poisoned(&other, sizeof other, 0xa5);
        code = aw_sip_scan(input, len, stream, &first);
        CHECK(aw_sip_scan(input, len, stream, &other) == code);
        CHECK(code <= (int)len && code >= AW_TOO_LONG && code != 0);
        same_sip(&first, &other);
        untouched(&first, 0x5a);
        sip_inside(&first, len > 65535 ? 65535 : len);
    }
    return code;
}

static void check_message(const uint8_t *p, size_t len) {
    const size_t step = len > 4000 ? 97 : 1;
    for (size_t n = 0; n <= len; n += step) {
        scan_everywhere(p, n, 0);
        scan_everywhere(p, n, 1);
    }
    scan_everywhere(p, len, 0);
    scan_everywhere(p, len, 1);
}

static void check_body(const uint8_t *p, size_t len) {
    static aw_sdp a, b;
    for (size_t n = 0; n <= len; n++)
        for (int at_end = 0; at_end < 2; at_end++) {
            const uint8_t *input = guarded(p, n, at_end);
            poisoned(&a, sizeof a, 0x5a);
            poisoned(&b, sizeof b, 0xa5);
            const int code = aw_sdp_scan(input, n, &a);
            CHECK(aw_sdp_scan(input, n, &b) == code && (code == (int)n || code == AW_NOT_SIP));
            CHECK(memcmp(&a, &b, offsetof(aw_sdp, media)) == 0 && a.media_count <= AW_MEDIA);
            CHECK(memcmp(a.media, b.media, a.media_count * sizeof *a.media) == 0);
            span_inside(a.origin, n), span_inside(a.origin_address, n), span_inside(a.address, n);
            for (int i = 0; i < a.media_count; i++) {
                span_inside(a.media[i].line, n), span_inside(a.media[i].kind, n);
                span_inside(a.media[i].address, n), span_inside(a.media[i].rtcp, n);
            }
        }
}

/* A small generator of its own, so that every machine sees the same mutations. */
static uint32_t chance(void) {
    static uint32_t state = 4475;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void check_mutations(const uint8_t *p, size_t len, int rounds) {
    static const char nasty[] = "\r\n \t,;:<>\"\\@[]=/?*\0\xff"
                                "09aZ";
    uint8_t *copy = malloc(len);
    CHECK(copy != NULL);
    for (int n = 0; n < rounds; n++) {
        memcpy(copy, p, len);
        for (uint32_t i = chance() % 6 + 1; i > 0; i--)
            copy[chance() % len] = (uint8_t)nasty[chance() % (sizeof nasty - 1)];
        scan_everywhere(copy, len, n & 1);
    }
    free(copy);
}

static size_t repeat(char *out, const char *start, const char *line, size_t room) {
    size_t n = strlen(start);
    memcpy(out, start, n);
    for (; n + strlen(line) + 2 <= room; n += strlen(line)) memcpy(out + n, line, strlen(line));
    memcpy(out + n, "\r\n", 2);
    return n + 2;
}

static int is_set(const aw_sip *s, unsigned bit) {
    return s->anomalies[bit >> 4] >> (bit & 15) & 1;
}

static void check_large(void) {
    static char text[GUARD_ROOM];
    static aw_sip s;
    static const char *const lines[] = {
        "Via: SIP/2.0/UDP h;branch=z9hG4bK\r\n",
        "v:,,,,,,,,,\r\n",
        "Contact: <\r\n",
        "Contact: \"\r\n",
        "X:\r\n",
        "x\r\n",
        "\r\n ",
        "Route: <sip:a>,<sip:b>\r\n",
        "To: \"\\\r\n",
        "Content-Length: 1\r\n",
        "Contact: <sip:a>;;;;;;;;\r\n",
        "Via: \"<\"<\"<\r\n",
        "m: a,b,c\r\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        const size_t len = repeat(text, START, lines[i], 65535);
        scan_everywhere((const uint8_t *)text, len, 0);
        scan_everywhere((const uint8_t *)text, len, 1);
    }
    size_t len = repeat(text, START, lines[0], 65535);
    CHECK(aw_sip_scan((const uint8_t *)text, len, 0, &s) == (int)len);
    CHECK(s.vias == AW_VIAS && is_set(&s, AW_CLIPPED));
    memset(text + len, 'x', sizeof text - len);
    CHECK(scan_everywhere((const uint8_t *)text, 65535, 0) == 65535);
    CHECK(scan_everywhere((const uint8_t *)text, 65536, 0) == AW_TOO_LONG);
    /* A stream's buffer may be longer than a message. */
    CHECK(scan_everywhere((const uint8_t *)text, 70000, 1) == (int)len);
    len = repeat(text, START, lines[4], 70000);
    CHECK(scan_everywhere((const uint8_t *)text, len, 1) == AW_TOO_LONG);
}

void check_sip_file(const char *path) {
    static uint8_t message[65536];
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    const size_t len = fread(message, 1, sizeof message, file);
    fclose(file);
    check_message(message, len);
    if (len) check_mutations(message, len, 200);
}

void check_sip(void) {
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
        const uint8_t *p = (const uint8_t *)messages[i];
        check_message(p, strlen(messages[i]));
        check_mutations(p, strlen(messages[i]), 3000);
    }
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        check_body((const uint8_t *)bodies[i], strlen(bodies[i]));
    check_large();
}
