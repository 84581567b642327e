/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of aw_rtp at any time: its lists go both ways, and each entry is in them once.
 * CHECK is that of the file which includes this. */
#ifndef RTP_LISTS_H
#define RTP_LISTS_H

/* RTP that was counted, in packets. */
static inline uint64_t check_rtp_lists(const aw_rtp *rtp) {
    uint64_t packets = 0;
    CHECK(rtp->used <= AW_ANNOUNCED && rtp->oldest < AW_ANNOUNCED && rtp->waiting <= AW_SHELF);
    for (uint32_t i = 0; i < rtp->used; i++) {
        const aw_announced *a = &rtp->announced[i];
        const uint16_t own = (uint16_t)(i + 1);
        CHECK(a->next <= rtp->used && a->before <= rtp->used);
        CHECK(a->later <= rtp->used && a->earlier <= rtp->used);
        if (a->linked) {
            CHECK(a->port && a->version);
            if (a->next) CHECK(rtp->announced[a->next - 1].before == own);
            if (a->next) CHECK(rtp->announced[a->next - 1].port == a->port);
            CHECK(a->before ? rtp->announced[a->before - 1].next == own
                            : rtp->by_port[a->port] == own);
        } else {
            CHECK(!a->next && !a->before);
        }
        if (a->earlier) CHECK(rtp->announced[a->earlier - 1].later == own);
        CHECK(a->later ? rtp->announced[a->later - 1].earlier == own
                       : rtp->by_call[a->call & (AW_OF_A_CALL - 1)] == own);
        int over = 0;
        for (int k = 0; k < AW_STREAMS; k++) {
            const aw_stream *s = &a->streams[k];
            if (!s->packets) {
                over = 1;
                continue;
            }
            CHECK(!over && s->first && s->last >= s->first && s->bytes >= 12u * s->packets);
            CHECK(!a->ended || s->last <= a->ended);
            packets += s->packets;
        }
        CHECK(!over || !a->more);
        packets += a->more;
    }
    return packets;
}
#endif
