/* SPDX-License-Identifier: Apache-2.0 */
/* Writes down what the native code says of inputs, so that two machines can be compared.
 *
 * Argument: how many bytes behind a word's boundary each input lies, 0 without one.
 * Standard input: records of kind (1 byte), length (4 bytes, little-endian), bytes. Kinds: 'd' a
 * datagram, 's' a stream, 'b' a body, else a frame of that link type (see link_types). One line a
 * result; of flow, a hash of native words, only which rows have the same. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "algwatch_native.h"

static const uint8_t key[16] = "algwatch replay";
static const uint16_t ports[] = {5060, 5080};
static const uint32_t link_types[] = {
    AW_DLT_EN10MB, AW_DLT_RAW,  AW_DLT_LINUX_SLL, AW_DLT_LINUX_SLL2,   AW_DLT_PPP,  AW_DLT_NULL,
    AW_DLT_LOOP,   AW_DLT_IPV4, AW_DLT_IPV6,      AW_DLT_LINKTYPE_RAW, AW_DLT_NFLOG};

static void numbers(const char *name, const void *from, size_t bytes) {
    const uint16_t *values = from;
    printf(" %s", name);
    for (size_t i = 0; i < bytes / sizeof *values; i++) printf(" %u", values[i]);
}

static void tell_message(const uint8_t *p, size_t len, int stream) {
    static aw_sip s;
    memset(&s, 0, sizeof s);
    printf("sip %d", aw_sip_scan(p, len, stream, &s));
    numbers("head", &s, offsetof(aw_sip, via));
    numbers("via", s.via, s.vias * sizeof *s.via);
    numbers("contact", s.contact, s.contacts * sizeof *s.contact);
    numbers("route", s.route, s.routes * sizeof *s.route);
    numbers("record", s.record_route, s.record_routes * sizeof *s.record_route);
    numbers("path", s.path, s.paths * sizeof *s.path);
    printf("\n");
}

static void tell_body(const uint8_t *p, size_t len) {
    static aw_sdp s;
    memset(&s, 0, sizeof s);
    printf("sdp %d", aw_sdp_scan(p, len, &s));
    numbers("head", &s, offsetof(aw_sdp, media));
    numbers("media", s.media, s.media_count * sizeof *s.media);
    printf("\n");
}

static void tell_frame(const uint8_t *p, size_t len, uint32_t linktype) {
    static aw_row rows[AW_ROWS_A_PACKET];
    static aw_ends ends[AW_ROWS_A_PACKET];
    static uint32_t flows[1 << 16];
    static int known;
    aw_counts counts = {0};
    aw_frame f;
    const int carries = aw_frame_parse(p, len, linktype, &f);
    printf("frame %d %u %u %u %u %u %u %u %u %u %u %u %u %u %u", carries, f.payload, f.length, f.ip,
           f.ifindex, f.seq, f.sport, f.dport, f.vlan, f.ip_id, f.version, f.proto, f.ttl, f.bits,
           f.tcp_flags);
    for (int i = 0; i < 16; i++) printf(" %u/%u", f.src[i], f.dst[i]);
    printf("\n");
    const aw_tap tap = {.key = key, .ports = ports, .port_count = 2, .linktype = linktype};
    const aw_packet packet = {.buf = p, .caplen = (uint32_t)len, .at = 1};
    aw_output out = {.rows = rows, .ends = ends, .room = AW_ROWS_A_PACKET, .counts = &counts};
    const int n = aw_packet_scan(&tap, &packet, &out);
    for (int i = 0; i < n; i++) {
        const aw_row *r = &rows[i];
        int flow = 0;
        while (flow < known && flows[flow] != r->flow) flow++;
        if (flow == known && known < 1 << 16) flows[known++] = r->flow;
        printf("row %" PRIx64 " %" PRIx64 " %" PRIx64 " flow %d %x %x %u %u %u %u %u %u %u %u %u\n",
               r->txn, r->call, r->pair, flow, r->from_tag, r->to_tag, r->cseq, r->payload,
               r->length, r->status, r->ip_id, r->bits, r->kind, r->method, r->ttl);
    }
    printf("counts %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", counts.sip, counts.other,
           counts.not_ip, counts.malformed);
}

int main(int argc, char **argv) {
    static _Alignas(8) uint8_t room[(1 << 17) + 8];
    uint8_t *const data = room + (argc > 1 ? argv[1][0] - '0' : 0);
    uint8_t head[5];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        const size_t size = head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16;
        if (size > sizeof room - 8 || fread(data, 1, size, stdin) != size) return 1;
        if (head[0] == 'd' || head[0] == 's')
            tell_message(data, size, head[0] == 's');
        else if (head[0] == 'b')
            tell_body(data, size);
        else if (head[0] < sizeof link_types / sizeof *link_types)
            tell_frame(data, size, link_types[head[0]]);
        else
            return 1;
    }
    return 0;
}
