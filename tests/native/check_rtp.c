/* SPDX-License-Identifier: Apache-2.0 */
/* RTP: counted by what messages announce, in a table that never grows. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "algwatch_native.h"
#define AW_NATIVE_H /* algwatch_native.h, which has no guard, is here already */
#include "packet.h"
#include "guard.h"
#include "rtp_lists.h"

static aw_rtp table; /* 1.4 MB */
static uint64_t now = 1000;

static void announce(uint64_t call, uint32_t sender, const char *body) {
    const aw_row row = {
        .at = ++now, .call = call, .from_tag = sender, .method = AW_INVITE, .bits = AW_ROW_SDP};
    const aw_frame f = {.version = 4, .src = {192, 0, 2, 200}};
    const size_t length = strlen(body);
    aw_rtp_message(&table, &row, &f, guarded((const uint8_t *)body, length, 1), length);
}

static void bye(uint64_t call) {
    const aw_row row = {.at = ++now, .call = call, .method = AW_BYE};
    const aw_frame f = {.version = 4};
    aw_rtp_message(&table, &row, &f, NULL, 0);
}

static void send(uint8_t from, uint16_t sport, uint8_t to, uint16_t dport, int count,
                 uint8_t kind) {
    uint8_t payload[172] = {0x80, kind};
    aw_frame f = {.version = 4,
                  .length = sizeof payload,
                  .sport = sport,
                  .dport = dport,
                  .src = {192, 0, 2, from},
                  .dst = {192, 0, 2, to}};
    for (int i = 0; i < count; i++) aw_rtp_look(&table, 0, ++now, &f, payload);
}

/* The latest announcement of a call. */
static const aw_announced *latest(uint64_t call) {
    aw_rtp_settle(&table);
    const uint16_t at = table.by_call[call & (AW_OF_A_CALL - 1)];
    CHECK(at && table.announced[at - 1].call == call);
    return &table.announced[at - 1];
}

#define SDP(address, rest) "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN " address "\r\nt=0 0\r\n" rest
#define AUDIO(port)        "m=audio " #port " RTP/AVP 0\r\n"

static void check_counting(void) {
    announce(1, 11, SDP("IP4 192.0.2.1", AUDIO(4000)));
    announce(1, 12, SDP("IP4 192.0.2.2", AUDIO(5000)));
    send(1, 4000, 2, 5000, 3, 0);
    send(1, 4000, 2, 5000, 1, 200); /* RTCP */
    send(2, 5000, 1, 4000, 2, 8);
    send(9, 9, 8, 8, 5, 0); /* of nobody's call */
    const aw_announced *a = latest(1);
    CHECK(a->sender == 12 && a->port == 5000 && a->streams[0].packets == 3);
    CHECK(a->streams[0].inwards && a->streams[0].port == 4000 && a->streams[0].bytes == 3 * 172);
    CHECK(a->streams[1].packets == 2 && !a->streams[1].inwards && table.used == 2);
    CHECK(check_rtp_lists(&table) == 10);
    announce(1, 12, SDP("IP4 192.0.2.2", AUDIO(5000))); /* a retransmission says nothing new */
    CHECK(latest(1) == a && table.used == 2);
    bye(1);
    send(2, 5000, 1, 4000, 2, 8); /* as much as may still be on its way */
    CHECK(check_rtp_lists(&table) == 10 && latest(1)->ended);
}

static void check_relay(void) { /* it sends from a port that nobody announced */
    announce(2, 21, SDP("IP4 10.0.0.1", AUDIO(4100)));
    announce(2, 22, SDP("IP4 192.0.2.4", AUDIO(5100)));
    send(3, 4444, 4, 5100, 1, 0);
    send(4, 6000, 3, 4444, 7, 0);
    const aw_announced *a = latest(2);
    CHECK(a->bits & AW_ANNOUNCED_LEARNED && a->sender == 22 && a->port == 4444);
    CHECK(a->streams[0].packets == 1 && a->streams[1].packets == 7 && a->streams[1].port == 6000);
    for (uint8_t i = 10; i < 20; i++) send(i, 1000, 4, 5100, 1, 0);
    check_rtp_lists(&table);
}

static void check_values(void) {
    static const struct {
        const char *address;
        uint8_t version, bytes[16];
    } of[] = {
        {"IP4 192.0.2.7", 4, {192, 0, 2, 7}},
        {"IP4 192.0.2", 0, {0}},
        {"IP4 192.0.2.256", 0, {0}},
        {"IP4 192.0.2.1234", 0, {0}},
        {"IP4 a.example", 0, {0}},
        {"IP4 0.0.0.0", 4, {0}},
        {"IP6 2001:db8::1", 6, {0x20, 1, 0xd, 0xb8, [15] = 1}},
        {"IP6 ::", 6, {0}},
        {"IP6 ::1", 6, {[15] = 1}},
        {"IP6 FE80::", 6, {0xfe, 0x80}},
        {"IP6 1:2:3:4:5:6:7:8", 6, {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}},
        {"IP6 ::ffff:192.0.2.1", 6, {[10] = 0xff, 0xff, 192, 0, 2, 1}},
        {"IP6 1:2:3:4:5:6:7:8:9", 0, {0}},
        {"IP6 1::2::3", 0, {0}},
        {"IP6 1:2", 0, {0}},
        {"IP6 1:2:3:4:5:6:7:8::", 0, {0}},
        {"IP6 1:", 0, {0}},
        {"IP6 g::", 0, {0}},
    };
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char body[256];
        snprintf(body, sizeof body, SDP("%s", AUDIO(7000) "a=sendonly\r\na=candidate:1 1\r\n"),
                 of[i].address);
        announce(100 + i, 1, body);
        const aw_announced *a = latest(100 + i);
        CHECK(a->version == of[i].version && a->ways == AW_MEDIA_SENDONLY);
        CHECK(!(a->bits & AW_ANNOUNCED_NAME) == !!a->version && a->bits & AW_ANNOUNCED_ICE);
        CHECK(memcmp(a->address, of[i].bytes, 16) == 0);
    }
    check_rtp_lists(&table);
}

static void check_lines(void) {
    announce(200, 1, SDP("IP4 192.0.2.9", "m=video 1 RTP/AVP 9\r\n" AUDIO(8000)));
    CHECK(latest(200)->index == 1 && latest(200)->port == 8000);
    announce(200, 1, SDP("IP4 192.0.2.9", "m=video 1 RTP/AVP 9\r\nm=image 8000 udptl t38\r\n"));
    CHECK(latest(200)->index == 1 && !latest(200)->port);
    const uint32_t used = table.used;
    announce(201, 1, SDP("IP4 192.0.2.9", "m=image 1 udptl t38\r\nm=audio 2 TCP/MRCP 1\r\n"));
    announce(202, 1, "no session description");
    aw_rtp_settle(&table);
    CHECK(table.used == used);
}

/* Any number of calls: the table stays as large as it is, and what it says stays true. */
static void check_full(void) {
    char body[256];
    for (unsigned i = 0; i < AW_ANNOUNCED * 5 / 2; i++) {
        snprintf(body, sizeof body, SDP("IP4 192.0.2.%u", "m=audio %u RTP/AVP 0\r\n"), i % 3,
                 10000 + i % 700);
        announce(1000 + i, i, body);
        if (i % 3 == 0) send(1, (uint16_t)(10000 + i % 700), 2, (uint16_t)(10000 + i % 11), 1, 0);
        if (i % 500 == 0) check_rtp_lists(&table);
    }
    CHECK(table.used == AW_ANNOUNCED);
    check_rtp_lists(&table);
    const uint32_t forgotten = table.forgotten;
    for (int i = 0; i < 500; i++) announce(5, 5, body); /* and no RTP among them */
    CHECK(table.forgotten > forgotten && table.waiting <= AW_SHELF);
    static char large[9000];
    memset(large, 'x', sizeof large - 1);
    announce(6, 6, large);
    aw_rtp_settle(&table);
    check_rtp_lists(&table);
}

/* A live tap, to which no RTP comes: what messages say is read in time, and the latest stay. */
static void check_room(void) {
    char body[256];
    memset(&table, 0, sizeof table);
    table.room = 40;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(body, sizeof body, SDP("IP4 192.0.2.%u", "m=audio %u RTP/AVP 0\r\n"), i % 250,
                 10000 + i);
        announce(1000 + i, i, body);
        check_rtp_lists(&table);
    }
    CHECK(!table.forgotten && latest(1999)->port == 10999 && latest(1960)->port == 10960);
    CHECK(table.used == 40 && table.oldest < 40 && !table.by_call[1959 & (AW_OF_A_CALL - 1)]);
    check_rtp_lists(&table);
}

void check_rtp(void) {
    check_counting();
    check_relay();
    check_values();
    check_lines();
    check_full();
    check_room();
}
