/* SPDX-License-Identifier: Apache-2.0 */
/* aw_sdp_scan. For every input:
 *
 * - Nothing around the input is read (fuzz_exact).
 * - The code is the length, or one that the contract allows.
 * - Every span lies in the input; the words of an m= line lie in it, all else between it and the
 *   next one; the session's address lies before the first m= line.
 * - Counts are at most their limits, anomalies and bits are known ones.
 * - The result does not depend on what was in it, nor on where the input lies in memory, and
 *   entries past the count are not written.
 * - An empty line behind the body changes nothing, and neither does a NUL-free line of a type that
 *   is not read.
 * - The portable variant says the same (or REFERENCE, a commit).
 * - The time is in proportion to the length (FUZZ_COST).
 */
#include "fuzz.h"

static void same(const aw_sdp *a, const aw_sdp *b) {
    CHECK(memcmp(a, b, offsetof(aw_sdp, media)) == 0);
    CHECK(memcmp(a->media, b->media, a->media_count * sizeof *a->media) == 0);
}

static void check_result(const aw_sdp *s, size_t len) {
    CHECK(s->anomalies < 16 && s->media_count <= AW_MEDIA && s->ice <= 1 && !s->reserved);
    fuzz_inside(s->origin, len);
    fuzz_inside(s->origin_address, len);
    fuzz_inside(s->address, len);
    fuzz_within(s->origin_address, s->origin);
    if (s->media_count) CHECK(s->address.off + s->address.len <= s->media[0].line.off);
    for (unsigned i = 0; i < s->media_count; i++) {
        const aw_media *m = &s->media[i];
        const size_t next = i + 1 < s->media_count ? s->media[i + 1].line.off : len;
        const size_t behind = (size_t)m->line.off + m->line.len;
        fuzz_inside(m->line, len);
        CHECK(m->line.off && behind <= next);
        fuzz_within(m->kind, m->line);
        CHECK(!m->address.off || m->address.off > behind);
        CHECK(!m->rtcp.off || m->rtcp.off > behind);
        CHECK((size_t)m->address.off + m->address.len <= next);
        CHECK((size_t)m->rtcp.off + m->rtcp.len <= next);
        const unsigned ways = m->bits & ~(unsigned)AW_MEDIA_CANDIDATE;
        CHECK(ways == 0 || ways == AW_MEDIA_INACTIVE || ways == AW_MEDIA_SENDONLY ||
              ways == AW_MEDIA_RECVONLY);
        CHECK((m->candidates != 0) == ((m->bits & AW_MEDIA_CANDIDATE) != 0));
        CHECK(m->rtcp.off || !m->rtcp_port);
    }
}

#ifdef REFERENCE
int ref_aw_sdp_scan(const uint8_t *p, size_t len, aw_sdp *out);
#endif
#ifdef COUNTED
int cost_aw_sdp_scan(const uint8_t *p, size_t len, aw_sdp *out);
#endif

static int scan(const uint8_t *p, size_t len, aw_sdp *result) {
    static aw_sdp other, poison;
    const uint8_t *input = fuzz_exact(p, len, 0);
    memset(&poison, 0x5a, sizeof poison);
    memset(result, 0x5a, sizeof *result);
    memset(&other, 0xa5, sizeof other);
    const int code = aw_sdp_scan(input, len, result);
    CHECK(aw_sdp_scan(fuzz_exact(p, len, 1), len, &other) == code);
    CHECK(code == (len > 65535 ? AW_TOO_LONG : (int)len) || (code == AW_NOT_SIP && len <= 65535));
    check_result(result, len);
    CHECK(memcmp(result->media + result->media_count, poison.media,
                 (size_t)(AW_MEDIA - result->media_count) * sizeof *result->media) == 0);
    same(result, &other);
#ifdef REFERENCE
    memset(&other, 0xa5, sizeof other);
    CHECK(ref_aw_sdp_scan(input, len, &other) == code);
    same(result, &other);
#endif
#ifdef COUNTED
    FUZZ_COST(cost_aw_sdp_scan(input, len, &other), len);
#endif
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char more[] = "\r\n\r\nb=AS:64\r\n";
    static uint8_t longer[FUZZ_ROOM];
    static aw_sdp result, again;
    if (size > FUZZ_ROOM) return -1;
    const int code = scan(data, size, &result);
    const size_t length = size + sizeof more - 1;
    if (code <= 0 || length > 65535) return 0;
    memcpy(longer, data, size);
    memcpy(longer + size, more, sizeof more - 1);
    CHECK(aw_sdp_scan(fuzz_exact(longer, length, 1), length, &again) == (int)length);
    same(&result, &again);
    return 0;
}
