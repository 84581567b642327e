/* SPDX-License-Identifier: Apache-2.0 */
/* Lies: packets that no stack takes or no router sends on. For batch.c only. */
#ifndef AW_LIES_H
#define AW_LIES_H

#include "packet.h"

/* No router sends on what came in with a TTL of 1 (RFC 1812 section 5.3.1) or with malformed
 * options, and none follows a source route unless it is told to (RFC 7126 section 4.3, Linux
 * accept_source_route). */
static int may_be_sent_on(const uint8_t *p, const aw_frame *f) {
    enum { END = 0, NOP = 1, LOOSE = 131, STRICT = 137 };
    if (f->ttl <= 1) return 0;
    if (f->version != 4) return 1;
    const uint8_t *h = p + f->ip;
    const size_t end = (size_t)(h[0] & 15) * 4;
    for (size_t i = 20; i < end && h[i] != END;) {
        if (h[i] == NOP) {
            i++;
            continue;
        }
        if (h[i] == LOOSE || h[i] == STRICT || i + 1 == end) return 0;
        const size_t length = h[i + 1];
        if (length < 2 || length > end - i) return 0;
        i += length;
    }
    return 1;
}

/* Lengths that contradict each other. Where the capture cut nothing, so does one beyond the end of
 * the frame: it must not pass for a message that was not captured whole. */
static int is_lie(const aw_packet *in, const aw_frame *f) {
    if (in->checks == AW_CHECK_SENT) return 0;
    if (in->whole && f->beyond) return 1;
    return !(f->bits & AW_FRAME_TRUNCATED) && f->bits & AW_FRAME_BAD &&
           (f->proto == 17 || f->proto == 6) && !(f->bits & AW_FRAME_FRAGMENT);
}

#endif
