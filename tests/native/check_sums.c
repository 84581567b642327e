/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that no stack accepts: wrong checksums and lengths, and the near misses that offload makes
 * on a machine's own packets. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "algwatch_native.h"
#include "guard.h"

#define MESSAGE "BYE a SIP/2.0\r\nl:1\r\n\r\nx"
#define ENDS4   "\xc0\xa8\1\12\xcb\0\x71\5"
#define SIX     "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0"

enum { UDP = 17, TCP = 6, ROOM = 512 };

/* A packet with everything right. */
typedef struct {
    uint8_t bytes[ROOM];
    size_t length, ip, transport;
    int version, proto;
} sample;

/* The sum of RFC 1071 as it stands there: by words of two bytes, the first one high. */
static unsigned sum_of(const uint8_t *p, size_t length, unsigned from) {
    unsigned sum = from;
    for (size_t i = 0; i < length; i += 2)
        sum += (unsigned)p[i] << 8 | (i + 1 < length ? p[i + 1] : 0u);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void put16(uint8_t *p, unsigned value) {
    p[0] = (uint8_t)(value >> 8), p[1] = (uint8_t)value;
}

static uint8_t *sum_at(sample *s) {
    return s->bytes + s->transport + (s->proto == UDP ? 6 : 16);
}

static unsigned pseudo(const sample *s) {
    const size_t ends = s->version == 4 ? 12 : 8, size = s->version == 4 ? 8 : 32;
    const size_t length = s->length - s->transport;
    return sum_of(s->bytes + s->ip + ends, size, (unsigned)s->proto + (unsigned)length);
}

static void set_header_sum(sample *s) {
    if (s->version != 4) return;
    put16(s->bytes + s->ip + 10, 0);
    put16(s->bytes + s->ip + 10, ~sum_of(s->bytes + s->ip, 20, 0) & 0xffff);
}

static void set_sum(sample *s) {
    put16(sum_at(s), 0);
    put16(sum_at(s),
          ~sum_of(s->bytes + s->transport, s->length - s->transport, pseudo(s)) & 0xffff);
}

static sample made(int version, int proto, const char *message) {
    sample s = {.version = version, .proto = proto};
    const size_t head = proto == UDP ? 8 : 20, size = strlen(message);
    s.transport = version == 4 ? 20 : 40;
    s.length = s.transport + head + size;
    if (version == 4)
        memcpy(s.bytes, "\x45\0\0\0\0\1\x40\0\100\0\0\0" ENDS4, 20);
    else
        memcpy(s.bytes, "\x60\0\0\0\0\0\0\100" SIX "\1" SIX "\2", 40);
    s.bytes[version == 4 ? 9 : 6] = (uint8_t)proto;
    put16(s.bytes + (version == 4 ? 2 : 4), (unsigned)(version == 4 ? s.length : head + size));
    if (proto == UDP) {
        memcpy(s.bytes + s.transport, "\x13\xc4\x13\xc4", 4);
        put16(s.bytes + s.transport + 4, (unsigned)(head + size));
    } else {
        memcpy(s.bytes + s.transport, "\x13\xc4\x13\xc4\0\0\0\1\0\0\0\1\x50\x18\1\0\0\0\0\0", 20);
    }
    memcpy(s.bytes + s.transport + head, message, size);
    set_header_sum(&s);
    set_sum(&s);
    return s;
}

static aw_counts counts;

/* The bits of its row and 1 << 16; 0 without one. */
static unsigned read_as(const sample *s, unsigned checks, size_t caplen, int whole) {
    static const uint8_t key[16] = "0123456789abcde";
    static const uint16_t ports[] = {5060};
    static aw_row rows[AW_ROWS_A_PACKET];
    static aw_ends ends[AW_ROWS_A_PACKET];
    const aw_tap tap = {.key = key, .ports = ports, .port_count = 1, .linktype = AW_DLT_RAW};
    const aw_packet packet = {.buf = guarded(s->bytes, caplen, 1),
                              .caplen = (uint32_t)caplen,
                              .at = 1,
                              .checks = (uint8_t)checks,
                              .whole = (uint8_t)whole};
    memset(&counts, 0, sizeof counts);
    aw_output out = {.rows = rows, .ends = ends, .room = AW_ROWS_A_PACKET, .counts = &counts};
    const int n = aw_packet_scan(&tap, &packet, &out);
    return n ? rows[0].bits | 1u << 16 : 0;
}

enum verdict { FINE, MARKED, REFUSED };

static void expect(const sample *s, unsigned checks, enum verdict verdict) {
    const unsigned bits = read_as(s, checks, s->length, 1);
    CHECK(!bits == (verdict == REFUSED));
    CHECK(!(bits & AW_ROW_DAMAGED) == (verdict != MARKED));
    CHECK(counts.forged == (verdict == REFUSED) && counts.damaged == (verdict == MARKED));
    CHECK(counts.packets == 1 && counts.sip == (verdict != REFUSED));
}

/* By aw_checks: of a file, from the wire, the kernel answers for its payload, sent. */
static void expect_each(const sample *s, enum verdict file, enum verdict wire, enum verdict header,
                        enum verdict sent) {
    expect(s, AW_CHECK_FILE, file);
    expect(s, AW_CHECK_WIRE, wire);
    expect(s, AW_CHECK_HEADER, header);
    expect(s, AW_CHECK_SENT, sent);
}

static void check_each(int version, int proto, const char *message) {
    sample s = made(version, proto, message);
    expect_each(&s, FINE, FINE, FINE, FINE);

    s.bytes[s.length - 1] ^= 1; /* the payload is another one */
    expect_each(&s, MARKED, REFUSED, FINE, FINE);

    s = made(version, proto, message);
    put16(sum_at(&s), pseudo(&s)); /* the card fills in the rest */
    expect_each(&s, FINE, REFUSED, FINE, FINE);

    put16(sum_at(&s), 0);
    expect_each(&s, FINE, version == 4 && proto == UDP ? FINE : REFUSED, FINE, FINE);
    if (version == 6) return;

    s = made(version, proto, message);
    s.bytes[8] = 1; /* nobody sends it on: in a file it may be what a router has sent */
    set_header_sum(&s);
    expect_each(&s, FINE, REFUSED, REFUSED, FINE);

    s = made(version, proto, message);
    s.bytes[8]--; /* a router that forgot the checksum */
    expect_each(&s, MARKED, REFUSED, REFUSED, FINE);
    put16(s.bytes + 10, 0);
    expect_each(&s, FINE, REFUSED, REFUSED, FINE);
}

/* A card cuts a large segment into many, so that their length is not in the sum. */
static void check_large_segment(void) {
    sample s = made(4, TCP, MESSAGE);
    put16(sum_at(&s), sum_of(s.bytes + 12, 8, TCP));
    expect_each(&s, FINE, REFUSED, FINE, FINE);
}

static void check_lengths(void) {
    sample s = made(4, UDP, MESSAGE);
    put16(s.bytes + s.transport + 4, 200); /* more than the IP packet has: udp_rcv() */
    expect(&s, AW_CHECK_FILE, REFUSED);
    expect(&s, AW_CHECK_WIRE, REFUSED);

    put16(s.bytes + s.transport + 4, 7); /* less than its own header */
    expect(&s, AW_CHECK_FILE, REFUSED);
    expect(&s, AW_CHECK_WIRE, REFUSED);

    s = made(4, UDP, MESSAGE);
    put16(s.bytes + 2, 300); /* more than the frame has: ip_rcv() */
    set_header_sum(&s);
    CHECK(!read_as(&s, AW_CHECK_WIRE, s.length, 1) && counts.forged == 1 && !counts.cut);
    s = made(4, UDP, MESSAGE); /* near miss: a snap length cut it, so it was not captured whole */
    CHECK(read_as(&s, AW_CHECK_WIRE, s.length - 3, 0) & AW_ROW_TRUNCATED);
    CHECK(counts.cut == 1 && !counts.forged);
    CHECK(!read_as(&s, AW_CHECK_WIRE, s.length - 3, 1) && counts.forged == 1 && !counts.cut);

    s = made(4, UDP, MESSAGE); /* near miss: padding behind the packet */
    s.length += 6;
    expect_each(&s, FINE, FINE, FINE, FINE);

    s = made(4, TCP, MESSAGE);
    s.bytes[s.transport + 12] = 0x10; /* a header of 4 bytes */
    CHECK(!read_as(&s, AW_CHECK_FILE, s.length, 0) && counts.forged == 1);
}

/* IPv4 options of 8 bytes: on a ring no router sends on what has a source route, or malformed ones.
 */
static void check_options(const char *options, enum verdict wire) {
    sample s = made(4, UDP, MESSAGE);
    memmove(s.bytes + 28, s.bytes + 20, s.length - 20);
    memcpy(s.bytes + 20, options, 8);
    s.bytes[0] = 0x47;
    s.transport += 8;
    s.length += 8;
    put16(s.bytes + 2, (unsigned)s.length);
    put16(s.bytes + 10, 0);
    put16(s.bytes + 10, ~sum_of(s.bytes, 28, 0) & 0xffff);
    expect_each(&s, FINE, wire, wire, FINE);
}

/* The final destination of a routed packet is in its routing header, and in the sum. */
static void check_routed(void) {
    sample s = made(6, UDP, MESSAGE), routed = s;
    memmove(routed.bytes + 48, s.bytes + 40, s.length - 40);
    memcpy(routed.bytes + 40, "\21\0\4\1\0\0\0\0", 8);
    routed.bytes[6] = 43;
    put16(routed.bytes + 4, (unsigned)(s.length - 40 + 8));
    routed.length += 8;
    routed.bytes[routed.length - 1] ^= 1;
    expect(&routed, AW_CHECK_WIRE, FINE);
}

void check_sums(void) {
    static const char *const messages[] = {MESSAGE, MESSAGE "y", MESSAGE "yz", MESSAGE "yz\xff"};
    for (size_t i = 0; i < sizeof messages / sizeof *messages; i++)
        for (int version = 4; version <= 6; version += 2) {
            check_each(version, UDP, messages[i]);
            check_each(version, TCP, messages[i]);
        }
    check_large_segment();
    check_lengths();
    check_options("\x83\7\4\1\2\3\4\0", REFUSED);  /* loose source route */
    check_options("\1\x89\7\4\1\2\3\4", REFUSED);  /* strict, behind a NOP */
    check_options("\x94\11\0\0\0\0\0\0", REFUSED); /* router alert, longer than the header */
    check_options("\x94\1\0\0\0\0\0\0", REFUSED);
    check_options("\1\1\1\1\1\1\1\x94", REFUSED);
    check_options("\x94\4\0\0\1\1\1\1", FINE); /* router alert */
    check_options("\0\x83\7\4\1\2\3\4", FINE); /* behind the end of the list */
    check_routed();
}
