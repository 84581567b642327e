/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and rows: every encapsulation cut at every byte and with bytes changed. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "algwatch_native.h"
#include "guard.h"

#define ETHERNET  "\2\0\0\0\0\1\2\0\0\0\0\2"
#define ADDRESSES "\xc0\xa8\1\12\xcb\0\x71\5"
#define SIX       "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
#define SIP       "BYE a SIP/2.0\r\nl:1\r\n\r\nx"
#define FRAME(type, text)                                                                          \
    { type, text, sizeof text - 1 }

static const struct {
    uint32_t linktype;
    const char *bytes;
    size_t len;
} frames[] = {
    FRAME(1, ETHERNET "\x88\xa8\0\7\x81\0\0\5\x88\x64\x11\0\0\1\0\65\0\41" /* QinQ, PPPoE */
                      "\x45\0\0\63\0\1\x40\0\100\21\0\0" ADDRESSES "\x13\xc4\x13\xc4\0\37\0\0" SIP),
    FRAME(12,
          "\x60\0\0\0\0\107\53\100" SIX SIX "\4\0\0\0\0\0\0\0" /* DS-Lite behind a routing header */
          "\x45\0\0\77\0\1\x40\0\100\6\0\0" ADDRESSES
          "\x13\xc4\x13\xc4\0\0\0\1\0\0\0\1\x50\x18\0\0\0\0\0\0" SIP),
    FRAME(113, "\0\4\0\1\0\6\0\0\0\0\0\0\0\0\x08\0" /* SLL, GRE with key, IPv6 */
               "\x45\0\0\143\0\1\0\0\100\57\0\0" ADDRESSES "\x20\0\x86\xdd\0\0\0\1"
               "\x60\0\0\0\0\37\21\100" SIX SIX "\x13\xc4\x13\xc4\0\37\0\0" SIP),
    FRAME(239, "\2\0\0\0\10\0\5\0\0\0\0\3\67\0\11\0" /* NFLOG */
               "\x45\0\0\63\0\1\x40\0\100\21\0\0" ADDRESSES "\x13\xc4\x13\xc4\0\37\0\0" SIP),
    FRAME(239, "\2\0\0\0\10\0\1\0\10\0\1\0\67\0\11\0" /* NFLOG, input hook */
               "\x45\0\0\63\0\1\x40\0\100\21\0\0" ADDRESSES "\x13\xc4\x13\xc4\0\37\0\0" SIP),
    FRAME(276, "\x86\xdd\0\0\0\0\0\3\0\1\4\6\0\0\0\0\0\0\0\0" /* SLL2, fragment header */
               "\x60\0\0\0\0\47\54\100" SIX SIX "\21\0\0\1\0\0\0\7\x13\xc4\x13\xc4\0\37\0\0" SIP),
    FRAME(0, "\2\0\0\0\x45\0\0\70\0\1\0\0\100\1\0\0" ADDRESSES "\3\1\0\0\0\0\0\0" /* ICMP */
             "\x45\0\0\64\0\1\x40\0\100\21\0\0" ADDRESSES "\x13\xc4\x13\xc4\0\40\0\0"),
    FRAME(9, "\xff\3\0\41\x45\0\0\60\0\1\x40\0\100\21\0\0" ADDRESSES "\x13\xc4\x13\xc4\0\34\0\0"
             "\0\1\0\0\x21\x12\xa4\x42"
             "123456789012"),
};

static const uint8_t key[16] = "0123456789abcde";
static const uint16_t ports[] = {5060, 5061};

static int scan_packet(const uint8_t *p, size_t len, uint32_t linktype, aw_row *rows, aw_ends *ends,
                       aw_counts *counts) {
    const aw_tap tap = {.key = key, .ports = ports, .port_count = 2, .linktype = linktype};
    const aw_packet packet = {.buf = p, .caplen = (uint32_t)len, .at = 1};
    aw_output out = {.rows = rows, .ends = ends, .room = AW_ROWS_A_PACKET, .counts = counts};
    return aw_packet_scan(&tap, &packet, &out);
}

static void scan_frame(const uint8_t *p, size_t len, uint32_t linktype) {
    static aw_row rows[2][AW_ROWS_A_PACKET];
    static aw_ends ends[2][AW_ROWS_A_PACKET];
    for (int at_end = 0; at_end < 2; at_end++) {
        aw_counts counts = {0};
        aw_frame f;
        int n[2];
        const uint8_t *input = guarded(p, len, at_end);
        const int found = aw_frame_parse(input, len, linktype, &f);
        CHECK(found == 0 || found == 1);
        CHECK((size_t)f.payload + f.length <= len && f.ip <= len);
        for (int i = 0; i < 2; i++) {
            memset(rows[i], i ? 0xa5 : 0x5a, sizeof rows[i]);
            memset(ends[i], i ? 0xa5 : 0x5a, sizeof ends[i]);
            n[i] = scan_packet(input, len, linktype, rows[i], ends[i], &counts);
        }
        CHECK(n[0] == n[1] && n[0] >= 0 && n[0] <= AW_ROWS_A_PACKET && counts.packets == 2);
        CHECK(memcmp(rows[0], rows[1], (size_t)n[0] * sizeof **rows) == 0);
        CHECK(memcmp(ends[0], ends[1], (size_t)n[0] * sizeof **ends) == 0);
        for (int i = 0; i < n[0]; i++) CHECK((size_t)rows[0][i].payload + rows[0][i].length <= len);
    }
}

static int rows_of(const uint8_t *p, size_t len, uint32_t linktype, aw_row *rows) {
    static aw_ends ends[AW_ROWS_A_PACKET];
    aw_counts counts = {0};
    return scan_packet(p, len, linktype, rows, ends, &counts);
}

/* A segment with more messages than a packet may have rows: the rest becomes one row, not none. */
static void check_full_segment(void) {
    static uint8_t packet[40 + 4000];
    static aw_row rows[AW_ROWS_A_PACKET];
    static const char message[] = "BYE a SIP/2.0\r\nl:0\r\n\r\n";
    const size_t each = sizeof message - 1, count = 100, len = 40 + each * count;
    memcpy(packet, "\x45\0\0\0\0\1\x40\0\100\6\0\0" ADDRESSES, 20);
    packet[2] = (uint8_t)(len >> 8), packet[3] = (uint8_t)len;
    memcpy(packet + 20, "\x13\xc4\x13\xc4\0\0\0\1\0\0\0\1\x50\x18\0\0\0\0\0\0", 20);
    for (size_t i = 0; i < count; i++) memcpy(packet + 40 + i * each, message, each);
    CHECK(rows_of(packet, len, 12, rows) == AW_ROWS_A_PACKET);
    CHECK(rows[AW_ROWS_A_PACKET - 2].kind == AW_KIND_SIP);
    CHECK(rows[AW_ROWS_A_PACKET - 1].kind == AW_KIND_SEGMENT);
    CHECK(rows[AW_ROWS_A_PACKET - 1].length == (count - AW_ROWS_A_PACKET + 1) * each);
}

/* Segmentation offload leaves the IP length to the card: a row cannot say all of such a segment. */
static void check_oversized_segment(void) {
    static uint8_t packet[40 + 70000];
    static aw_row rows[AW_ROWS_A_PACKET];
    memcpy(packet, "\x45\0\0\0\0\1\x40\0\100\6\0\0" ADDRESSES, 20);
    memcpy(packet + 20, "\x13\xc4\x13\xc4\0\0\0\1\0\0\0\1\x50\x18\0\0\0\0\0\0", 20);
    memset(packet + 40, 'x', sizeof packet - 40);
    CHECK(rows_of(guarded(packet, sizeof packet, 1), sizeof packet, 12, rows) == 1);
    CHECK(rows[0].kind == AW_KIND_SEGMENT && rows[0].length == 65535);
    CHECK(rows[0].bits & AW_ROW_TRUNCATED);
}

static int bits_of(const char *payload) {
    static uint8_t packet[512];
    static aw_row rows[AW_ROWS_A_PACKET];
    const size_t length = strlen(payload), total = 28 + length;
    memcpy(packet, "\x45\0\0\0\0\1\x40\0\100\21\0\0" ADDRESSES, 20);
    packet[2] = (uint8_t)(total >> 8), packet[3] = (uint8_t)total;
    memcpy(packet + 20, "\x13\xc4\x13\xc4\0\0\0\0", 8);
    memcpy(packet + 28, payload, length);
    return rows_of(guarded(packet, total, 1), total, 12, rows) == 1
               ? rows[0].bits | rows[0].kind << 16
               : 0;
}

#define PART "BYE a SIP/2.0\r\nc: multipart/mixed;boundary=x\r\n\r\n--x\r\n"

/* Where a body of several parts has a session description, and where it only looks like one. */
static void check_multipart(void) {
    CHECK(bits_of(PART "Content-Type: application/sdp\r\n\r\nv=0\r\n--x--") & AW_ROW_SDP);
    CHECK(!(bits_of(PART "\r\nv=1\r\n--x--\r\n") & AW_ROW_SDP));
    CHECK(!(bits_of(PART "\r\nxv=0\r\n--x--\nv=") & AW_ROW_SDP));
    CHECK(!(bits_of("BYE a SIP/2.0\r\nc: text/plain\r\n\r\n\r\nv=0\r\n") & AW_ROW_SDP));
    CHECK(bits_of("\x16\3\1") == 0); /* over UDP */
}

/* Tunnels inside tunnels end somewhere, however many there are. */
static void check_nesting(void) {
    static uint8_t packet[20 * 100];
    aw_frame f;
    for (size_t i = 0; i < 100; i++) {
        const size_t left = sizeof packet - i * 20;
        memcpy(packet + i * 20, "\x45\0\0\0\0\1\x40\0\100\4\0\0" ADDRESSES, 20);
        packet[i * 20 + 2] = (uint8_t)(left >> 8), packet[i * 20 + 3] = (uint8_t)left;
    }
    CHECK(aw_frame_parse(guarded(packet, sizeof packet, 1), sizeof packet, 12, &f) == 0);
    CHECK(f.bits & AW_FRAME_BAD);
}

void check_frames(void) {
    static const int kinds[] = {AW_KIND_SIP, AW_KIND_SIP,      AW_KIND_SIP,  AW_KIND_SIP,
                                AW_KIND_SIP, AW_KIND_FRAGMENT, AW_KIND_ICMP, AW_KIND_STUN};
    static aw_row rows[AW_ROWS_A_PACKET];
    uint32_t state = 1;
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        const uint8_t *p = (const uint8_t *)frames[i].bytes;
        CHECK(rows_of(p, frames[i].len, frames[i].linktype, rows) == 1 && rows[0].kind == kinds[i]);
        for (size_t n = 0; n <= frames[i].len; n++) scan_frame(p, n, frames[i].linktype);
        for (int n = 0; n < 20000; n++) {
            uint8_t copy[512];
            memcpy(copy, p, frames[i].len);
            for (int k = 0; k < 3; k++) {
                state = state * 1664525u + 1013904223u;
                copy[(state >> 8) % frames[i].len] = (uint8_t)(state >> 24);
            }
            scan_frame(copy, frames[i].len, frames[i].linktype);
        }
    }
    check_full_segment();
    check_oversized_segment();
    check_multipart();
    check_nesting();
}
