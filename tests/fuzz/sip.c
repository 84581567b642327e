/* SPDX-License-Identifier: Apache-2.0 */
/* aw_sip_scan. For every input, as a datagram and as the start of a stream:
 *
 * - Nothing around the input is read (fuzz_exact).
 * - The code is the length of a datagram, or 1..len of a stream, or one that the contract allows.
 * - Every span lies in the input, and the spans of a value lie in that value.
 * - Counts are at most their limits; values of a list stand in order and do not overlap.
 * - Anomalies are known ones, each with a place inside; what is missing is missing, and vice versa.
 * - The body begins behind the header section and ends with the message.
 * - The result does not depend on what was in it, nor on where the input lies in memory, and what
 *   the contract calls not written is not written.
 * - p[0..consumed) gives the same again, as a stream and as a datagram.
 * - A message that is cut anywhere is no message yet: how TCP splits it changes nothing.
 * - What a stream accepts a datagram accepts, with the same values in front of the body.
 * - The portable variant says the same (or REFERENCE, a commit).
 * - The time is in proportion to the length (FUZZ_COST).
 */
#include "fuzz.h"

static void check_addr(const aw_addr *a, size_t len) {
    const aw_span *parts[] = {&a->display, &a->uri, &a->tag, &a->expires};
    const aw_span *of_uri[] = {&a->user, &a->host, &a->uri_params};
    fuzz_inside(a->all, len);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        fuzz_inside(*parts[i], len);
        fuzz_within(*parts[i], a->all);
    }
    for (size_t i = 0; i < sizeof of_uri / sizeof *of_uri; i++) {
        fuzz_inside(*of_uri[i], len);
        fuzz_within(*of_uri[i], a->uri);
    }
    fuzz_inside(a->params, len);
    fuzz_within(a->params, a->all);
    fuzz_within(a->tag, a->params);
    fuzz_within(a->expires, a->params);
    CHECK(a->bits < 64);
}

static void check_via(const aw_via *v, size_t len) {
    const aw_span *parts[] = {&v->transport, &v->host,  &v->branch,
                              &v->received,  &v->rport, &v->maddr};
    fuzz_inside(v->all, len);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        fuzz_inside(*parts[i], len);
        fuzz_within(*parts[i], v->all);
    }
    CHECK(v->bits <= AW_VIA_RPORT);
    CHECK((v->bits & AW_VIA_RPORT) || (!v->rport.off && !v->rport_value));
}

static void check_list(const aw_addr *list, unsigned count, unsigned limit, size_t len) {
    size_t before = 0;
    CHECK(count <= limit);
    for (unsigned i = 0; i < count; i++) {
        check_addr(&list[i], len);
        CHECK(list[i].all.off > before);
        before = (size_t)list[i].all.off + list[i].all.len;
    }
}

static int is_set(const aw_sip *s, unsigned bit) {
    return s->anomalies[bit >> 4] >> (bit & 15) & 1;
}

static void check_whole(const aw_sip *s, size_t len) {
    CHECK(s->header_end && s->header_end <= len);
    CHECK(is_set(s, AW_MISSING_VIA) == !s->vias);
    CHECK(is_set(s, AW_MISSING_FROM) == !s->from.all.off);
    CHECK(is_set(s, AW_MISSING_TO) == !s->to.all.off);
    CHECK(is_set(s, AW_MISSING_CALL_ID) == !s->call_id.off);
    CHECK(is_set(s, AW_MISSING_CSEQ) == !s->cseq_value.off);
    CHECK(s->status ? !s->method_name.len : s->method_name.len != 0);
    fuzz_within(s->cseq_method, s->cseq_value);
    fuzz_within(s->request_user, s->request_uri);
    fuzz_within(s->request_host, s->request_uri);
    if (s->body.len) CHECK(s->body.off == s->header_end);
    CHECK((size_t)s->header_end + s->body.len == len);
}

static void check_result(const aw_sip *s, size_t len, int code) {
    const aw_span *spans[] = {&s->method_name,  &s->request_uri,  &s->request_user,
                              &s->request_host, &s->reason,       &s->call_id,
                              &s->cseq_value,   &s->cseq_method,  &s->max_forwards_value,
                              &s->expires,      &s->content_type, &s->content_length_value,
                              &s->user_agent,   &s->server,       &s->session_expires,
                              &s->body};
    size_t before = 0;
    if (len > 65535) len = 65535;
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) fuzz_inside(*spans[i], len);
    CHECK(s->method <= AW_OTHER_METHOD && s->header_end <= len);
    CHECK(s->anomalies[1] >> (AW_BAD_STATUS - 15) == 0);
    for (unsigned i = 0; i < AW_ANOMALIES; i++)
        if (is_set(s, i)) CHECK(s->anomaly_at[i] <= len);
    check_addr(&s->from, len);
    check_addr(&s->to, len);
    CHECK(s->vias <= AW_VIAS);
    for (unsigned i = 0; i < s->vias; i++) {
        check_via(&s->via[i], len);
        CHECK(s->via[i].all.off > before);
        before = (size_t)s->via[i].all.off + s->via[i].all.len;
    }
    check_list(s->contact, s->contacts, AW_CONTACTS, len);
    check_list(s->route, s->routes, AW_ROUTES, len);
    check_list(s->record_route, s->record_routes, AW_RECORD_ROUTES, len);
    check_list(s->path, s->paths, AW_PATHS, len);
    if (code > 0) check_whole(s, (size_t)code);
}

#define SAME(member) CHECK(memcmp(&a->member, &b->member, sizeof a->member) == 0)
#define SAME_LIST(list, count)                                                                     \
    CHECK(memcmp(a->list, b->list, (size_t)a->count * sizeof *a->list) == 0)

/* All that the contract calls valid, but for what depends on the bytes behind the header section:
 * the body and the anomalies of its length. */
static void same_head(const aw_sip *a, const aw_sip *b) {
    const unsigned length = 1u << AW_LENGTH_SHORT | 1u << AW_LENGTH_LONG;
    CHECK((a->anomalies[0] | length) == (b->anomalies[0] | length));
    CHECK(a->anomalies[1] == b->anomalies[1]);
    for (unsigned i = 0; i < AW_ANOMALIES; i++)
        if (is_set(a, i) && is_set(b, i)) CHECK(a->anomaly_at[i] == b->anomaly_at[i]);
    CHECK(a->method == b->method && a->status == b->status);
    SAME(cseq);
    SAME(content_length_value);
    if (a->content_length_value.off) SAME(content_length);
    SAME(max_forwards_value);
    if (a->max_forwards_value.off) CHECK(a->max_forwards == b->max_forwards);
    CHECK(memcmp(&a->header_end, &b->header_end,
                 offsetof(aw_sip, body) - offsetof(aw_sip, header_end)) == 0);
    SAME(from);
    SAME(to);
    SAME_LIST(via, vias);
    SAME_LIST(contact, contacts);
    SAME_LIST(route, routes);
    SAME_LIST(record_route, record_routes);
    SAME_LIST(path, paths);
}

static void same(const aw_sip *a, const aw_sip *b) {
    SAME(anomalies);
    SAME(body);
    same_head(a, b);
}

/* Entries at and past a count keep what the buffer held. */
static void check_untouched(const aw_sip *s, const aw_sip *poison) {
#define UNTOUCHED(list, count, limit)                                                              \
    CHECK(memcmp(s->list + s->count, poison->list,                                                 \
                 (size_t)((limit)-s->count) * sizeof *s->list) == 0)
    UNTOUCHED(via, vias, AW_VIAS);
    UNTOUCHED(contact, contacts, AW_CONTACTS);
    UNTOUCHED(route, routes, AW_ROUTES);
    UNTOUCHED(record_route, record_routes, AW_RECORD_ROUTES);
    UNTOUCHED(path, paths, AW_PATHS);
}

#ifdef REFERENCE
int ref_aw_sip_scan(const uint8_t *p, size_t len, int stream, aw_sip *out);
#endif
#ifdef COUNTED
int cost_aw_sip_scan(const uint8_t *p, size_t len, int stream, aw_sip *out);
#endif

/* Scans twice, from other memory into other bytes, and checks all that one scan can tell. */
static int scan(const uint8_t *p, size_t len, int stream, aw_sip *result) {
    static aw_sip other, poison;
    const uint8_t *input = fuzz_exact(p, len, 0);
    memset(&poison, 0x5a, sizeof poison);
    memset(result, 0x5a, sizeof *result);
    memset(&other, 0xa5, sizeof other);
    const int code = aw_sip_scan(input, len, stream, result);
    CHECK(aw_sip_scan(fuzz_exact(p, len, 1), len, stream, &other) == code);
    CHECK(stream ? code <= (int)len : code == (int)len || code < 0);
    CHECK(code >= AW_TOO_LONG && code != 0 && (stream || code != AW_PARTIAL));
    CHECK(code != AW_TOO_LONG || len > 65535 || stream);
    check_result(result, len, code);
    check_untouched(result, &poison);
    same(result, &other);
#ifdef REFERENCE
    memset(&other, 0xa5, sizeof other);
    CHECK(ref_aw_sip_scan(input, len, stream, &other) == code);
    same(result, &other);
#endif
#ifdef COUNTED
    FUZZ_COST(cost_aw_sip_scan(input, len, stream, &other), len);
#endif
    return code;
}

/* A NOT_SIP of a part of a message: only before its start line is there. */
static int has_line(const uint8_t *p, size_t len) {
    size_t i = 0;
    while (i < len && (p[i] == '\r' || p[i] == '\n')) i++;
    return memchr(p + i, '\n', len - i) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static aw_sip datagram, stream, again;
    if (size > FUZZ_ROOM) return -1;
    const int whole = scan(data, size, 0, &datagram);
    const int code = scan(data, size, 1, &stream);
    if (code <= 0) return 0;

    const size_t length = (size_t)code;
    CHECK(whole > 0 || size > 65535);
    if (whole > 0) same_head(&stream, &datagram);
    const uint8_t *input = fuzz_exact(data, length, 1);
    CHECK(aw_sip_scan(input, length, 1, &again) == code);
    same(&stream, &again);
    CHECK(aw_sip_scan(input, length, 0, &again) == code);
    same(&stream, &again);
    const size_t cut = fuzz_pick(data, length, length);
    const int part = aw_sip_scan(fuzz_exact(data, cut, 1), cut, 1, &again);
    CHECK(part == AW_PARTIAL || (part == AW_NOT_SIP && !has_line(data, cut)));
    return 0;
}
