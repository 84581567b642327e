/* SPDX-License-Identifier: Apache-2.0 */
/* aw_rtp_message, aw_rtp_look, aw_rtp_settle: what messages announce, and the RTP that comes. An
 * input is a script of steps, each a byte that says what comes (enum step) and a byte of details.
 *
 * - Nothing around a body is read (fuzz_exact).
 * - The lists of the table go both ways, each entry is in them once (rtp_lists.h).
 * - No more packets are counted than came, at either of their ends; none after a BYE.
 * - The same script gives the same table, whatever was in it before (and cleared).
 */
#include "fuzz.h"
#define AW_NATIVE_H /* algwatch_native.h, which has no guard, is here already */
#include "packet.h"
#include "../native/rtp_lists.h"

enum step { ANNOUNCE = 0, ANSWER = 1, BYE = 2, PACKETS = 3, STEPS = 4 };

static aw_rtp table, again;

/* Back to zero, at the cost of what was used. */
static void clear(aw_rtp *rtp) {
    for (uint32_t i = 0; i < rtp->used; i++) {
        rtp->by_port[rtp->announced[i].port] = 0;
        rtp->by_call[rtp->announced[i].call & (AW_OF_A_CALL - 1)] = 0;
    }
    memset(rtp->announced, 0, rtp->used * sizeof *rtp->announced);
    memset(rtp->first, 0, sizeof rtp->first);
    rtp->used = rtp->oldest = rtp->waiting = rtp->forgotten = 0;
}

static void frame_of(aw_frame *f, unsigned from, unsigned to) {
    memset(f, 0, sizeof *f);
    f->version = 4;
    f->src[0] = f->dst[0] = 10;
    f->src[3] = (uint8_t)from;
    f->dst[3] = (uint8_t)to;
    f->sport = (uint16_t)(1000 + from);
    f->dport = (uint16_t)(1000 + to);
}

static uint64_t play(aw_rtp *rtp, const uint8_t *p, size_t size, int at_end) {
    uint64_t now = 1, sent = 0;
    size_t i = 0;
    while (size - i >= 2) {
        const unsigned step = p[i] % STEPS, much = p[i] / STEPS, how = p[i + 1];
        aw_row row = {.at = ++now,
                      .call = how % 4,
                      .from_tag = 1 + how / 4 % 2,
                      .to_tag = 2,
                      .tap = (uint8_t)(how / 8 % 2),
                      .bits = AW_ROW_SDP};
        aw_frame f;
        frame_of(&f, how % 8, how / 8 % 8);
        i += 2;
        if (step == PACKETS) {
            uint8_t head[2] = {0x80, (uint8_t)(much % 4 ? 0 : 200)};
            f.length = 12 + much;
            for (unsigned n = 0; n < 2; n++) aw_rtp_look(rtp, how / 64 % 2, ++now, &f, head);
            sent += 2;
            continue;
        }
        row.method = step == BYE ? AW_BYE : how & 128 ? AW_ACK : AW_INVITE;
        row.status = step == ANSWER ? 200 : 0;
        size_t length = step == BYE ? 0 : much * 4;
        if (length > size - i) length = size - i;
        aw_rtp_message(rtp, &row, &f, fuzz_exact(p + i, length, at_end), length);
        i += length;
    }
    aw_rtp_settle(rtp);
    return sent;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > FUZZ_ROOM) return -1;
    const uint64_t sent = play(&table, data, size, 0);
    const uint64_t counted = check_rtp_lists(&table);
    if (table.used < AW_ANNOUNCED) CHECK(counted <= 2 * sent);
    CHECK(play(&again, data, size, 1) == sent && check_rtp_lists(&again) == counted);
    CHECK(again.used == table.used && again.forgotten == table.forgotten);
    CHECK(memcmp(again.announced, table.announced, table.used * sizeof *table.announced) == 0);
    clear(&table);
    clear(&again);
    return 0;
}
