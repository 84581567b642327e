/* SPDX-License-Identifier: Apache-2.0 */
/* aw_frame_parse. For every link type (the first byte chooses) and frame (the rest):
 *
 * - Nothing around the frame is read (fuzz_exact).
 * - The answer is 0 or 1; 1 means UDP or TCP in IPv4 or IPv6, or a fragment of what may hold it.
 * - Payload and IP header lie in the frame, the payload behind the IP header.
 * - An IPv4 address is 4 bytes and zeros; bits are known ones and fit the layers that are there.
 * - The result does not depend on what was in it, nor on where the frame lies in memory.
 * - The frame up to the end of its payload gives the same again, but for TRUNCATED.
 * - More bytes behind a frame whose length is known change nothing.
 * - Every variant agrees: the portable one says the same (or the one of REFERENCE, a commit).
 * - The time is in proportion to the length (FUZZ_COST).
 */
#include "fuzz.h"
#include "links.h"

#ifdef REFERENCE
int ref_aw_frame_parse(const uint8_t *p, size_t caplen, uint32_t linktype, aw_frame *out);
#endif
#ifdef COUNTED
int cost_aw_frame_parse(const uint8_t *p, size_t caplen, uint32_t linktype, aw_frame *out);
#endif

/* A tunnel, or an extension header that may stand behind the fragment header (RFC 8200, 7045). */
static int is_around(uint8_t proto, uint8_t version) {
    static const uint8_t known[] = {4, 41, 47, 43, 51, 60, 135, 139, 140};
    return memchr(known, proto, version == 6 ? sizeof known : 3) != NULL;
}

static void check_result(const aw_frame *f, size_t len, int carries) {
    CHECK((size_t)f->payload + f->length <= len && f->ip <= len);
    CHECK(f->version == 0 || f->version == 4 || f->version == 6);
    CHECK(f->vlan < 4096);
    CHECK(!f->reserved && f->beyond <= 1 && f->header <= 60);
    if (f->version == 4)
        for (int i = 4; i < 16; i++) CHECK(!f->src[i] && !f->dst[i]);
    if (f->bits & AW_FRAME_TUNNEL) CHECK(f->version);
    if (!carries) return;
    CHECK(f->version);
    if (f->proto != 17 && f->proto != 6) {
        CHECK(f->bits & AW_FRAME_FRAGMENT && !f->sport && !f->dport);
        CHECK(is_around(f->proto, f->version));
    }
    CHECK(f->payload >= f->ip + (f->version == 4 ? 20u : 40u));
    if (f->proto != 6) CHECK(!f->seq && !f->tcp_flags);
}

static int parse(const uint8_t *p, size_t len, uint32_t linktype, aw_frame *result) {
    aw_frame other;
    const uint8_t *input = fuzz_exact(p, len, 0);
    memset(result, 0x5a, sizeof *result);
    memset(&other, 0xa5, sizeof other);
    const int carries = aw_frame_parse(input, len, linktype, result);
    CHECK(carries == 0 || carries == 1);
    CHECK(aw_frame_parse(fuzz_exact(p, len, 1), len, linktype, &other) == carries);
    CHECK(memcmp(result, &other, sizeof other) == 0);
    check_result(result, len, carries);
#ifdef REFERENCE
    CHECK(ref_aw_frame_parse(input, len, linktype, &other) == carries);
    CHECK(memcmp(result, &other, sizeof other) == 0);
#endif
#ifdef COUNTED
    FUZZ_COST(cost_aw_frame_parse(input, len, linktype, &other), len);
#endif
    return carries;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aw_frame f, again;
    if (size < 1 || size > FUZZ_ROOM) return -1;
    const uint32_t linktype = link_of(data[0]);
    const uint8_t *p = data + 1;
    if (!parse(p, size - 1, linktype, &f)) return 0;
    CHECK(parse(p, (size_t)f.payload + f.length, linktype, &again));
    again.bits = (uint8_t)((again.bits & ~AW_FRAME_TRUNCATED) | (f.bits & AW_FRAME_TRUNCATED));
    again.beyond = f.beyond; /* and so does what a whole packet has to have */
    again.header = f.header;
    CHECK(memcmp(&f, &again, sizeof f) == 0);
    return 0;
}
