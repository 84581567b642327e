/* SPDX-License-Identifier: Apache-2.0 */
/* Frame to transport payload: IP, tunnels, UDP, TCP. Every length field is checked against the
 * captured length. */
#include <string.h>
#include "cursor.h"
#include "link.h"
#include "packet.h"

/* clang-format off */
enum {
    LAYERS = 12,            /* link layers, tags and tunnels that are followed in one frame */
    EXTENSION_HEADERS = 16, /* of one IPv6 packet */
    IP_IPIP = 4, IP_TCP = 6, IP_UDP = 17, IP_IPV6 = 41, IP_GRE = 47
};
/* clang-format on */

/* ---- IP ---- */

/* Protocols whose fragments are kept: UDP, TCP, tunnels, and extension headers that may stand
 * behind the fragment header of IPv6. */
static int may_carry(uint32_t version, uint32_t protocol) {
    switch (protocol) {
    case IP_IPIP:
    case IP_TCP:
    case IP_UDP:
    case IP_IPV6:
    case IP_GRE: return 1;
    case 43:
    case 51:
    case 60:
    case 135:
    case 139:
    case 140: return version == 6;
    default: return 0;
    }
}

/* Behind the IP header of a fragment: the first one of UDP or TCP is read on, for its ports. */
static enum layer of_fragment(int first, enum layer next) {
    return first && (next == L_UDP || next == L_TCP) ? next : L_STOP;
}

static enum layer transport(cursor *c, uint32_t protocol) {
    c->f->proto = (uint8_t)protocol;
    c->f->payload = (uint32_t)c->i;
    c->f->length = (uint32_t)(c->end - c->i);
    switch (protocol) {
    case IP_UDP: return L_UDP;
    case IP_TCP: return L_TCP;
    case IP_IPIP: return L_IPV4;
    case IP_IPV6: return L_IPV6;
    case IP_GRE: return L_GRE;
    default: return L_STOP;
    }
}

static void begin_ip(cursor *c, uint8_t version) {
    aw_frame *f = c->f;
    if (f->version) mark(f, AW_FRAME_TUNNEL);
    f->version = version;
    f->ip = (uint32_t)c->i;
    c->bounded = c->routed = 0;
    memset(f->src, 0, sizeof f->src);
    memset(f->dst, 0, sizeof f->dst);
}

static void bound(cursor *c, size_t length) {
    shorten(c, length);
    c->bounded = !(c->f->bits & AW_FRAME_TRUNCATED);
}

static enum layer ipv4(cursor *c) {
    const uint8_t *h = c->p + c->i;
    if (!has(c, 20) || h[0] >> 4 != 4) return bad(c);
    const size_t header = (size_t)(h[0] & 15) * 4, total = be16(h + 2);
    if (header < 20 || !has(c, header)) return bad(c);
    begin_ip(c, 4);
    /* 0: left to the network card by segmentation offload, so up to the captured end */
    if (total) {
        if (total < header) return bad(c);
        bound(c, total);
    }
    c->f->ip_id = (uint16_t)be16(h + 4);
    c->f->ttl = h[8];
    memcpy(c->f->src, h + 12, 4);
    memcpy(c->f->dst, h + 16, 4);
    const uint32_t fragment = be16(h + 6) & 0x3fff;
    if (fragment) mark(c->f, AW_FRAME_FRAGMENT);
    c->i += header;
    const enum layer next = transport(c, h[9]);
    return fragment ? of_fragment(!(fragment & 0x1fff), next) : next;
}

static enum layer ipv6(cursor *c) {
    const uint8_t *h = c->p + c->i;
    if (!has(c, 40) || h[0] >> 4 != 6) return bad(c);
    begin_ip(c, 6);
    const size_t length = be16(h + 4);
    uint32_t next = h[6];
    c->f->ip_id = 0;
    c->f->ttl = h[7];
    memcpy(c->f->src, h + 8, 16);
    memcpy(c->f->dst, h + 24, 16);
    c->i += 40;
    if (length) bound(c, length); /* 0: jumbogram or offload */
    for (int n = 0; n < EXTENSION_HEADERS; n++) {
        const uint8_t *x = c->p + c->i;
        size_t size;
        switch (next) {
        case 0:
        case 43:
        case 60:
        case 135:
        case 139:
        case 140: /* RFC 8200, RFC 7045 */
            if (!has(c, 2)) return bad(c);
            size = ((size_t)x[1] + 1) * 8;
            if (next != 0) c->routed = 1;
            break;
        case 51: /* authentication header: RFC 4302 */
            if (!has(c, 2)) return bad(c);
            size = ((size_t)x[1] + 2) * 4;
            break;
        case 44: {
            if (!has(c, 8)) return bad(c);
            const uint32_t offset = be16(x + 2) & 0xfff9;
            next = x[0];
            c->i += 8;
            if (!offset) continue; /* an atomic fragment is a whole packet: RFC 6946 */
            mark(c->f, AW_FRAME_FRAGMENT);
            c->f->ip_id = (uint16_t)be32(x + 4);
            return of_fragment(!(offset & 0xfff8), transport(c, next));
        }
        default: return transport(c, next);
        }
        if (!has(c, size)) return bad(c);
        next = x[0];
        c->i += size;
    }
    return bad(c);
}

static enum layer gre(cursor *c) { /* RFC 2784, RFC 2890; version 1: RFC 2637 */
    const uint8_t *h = c->p + c->i;
    if (!has(c, 4)) return bad(c);
    const uint32_t flags = be16(h);
    if (flags & 0x4000 || (flags & 7) > 1) return L_STOP; /* source routing, unknown version */
    size_t size = 4;
    if (flags & 0x8000) size += 4;
    if (flags & 0x2000) size += 4;
    if (flags & 0x1000) size += 4;
    if (flags & 7 && flags & 0x80) size += 4;
    if (!has(c, size)) return bad(c);
    c->type = be16(h + 2);
    c->i += size;
    return L_TYPE;
}

/* ---- transport ---- */

static void udp(cursor *c) {
    aw_frame *f = c->f;
    const uint8_t *h = c->p + c->i;
    if (f->bits & AW_FRAME_FRAGMENT) { /* the payload stays that of the fragment */
        if (has(c, 4)) {
            f->sport = (uint16_t)be16(h);
            f->dport = (uint16_t)be16(h + 2);
        }
        return;
    }
    if (!has(c, 8)) {
        mark(f, AW_FRAME_BAD);
        c->i = c->end;
    } else {
        const size_t length = be16(h + 4);
        f->sport = (uint16_t)be16(h);
        f->dport = (uint16_t)be16(h + 2);
        /* More than the IP packet holds is a lie, where that was captured whole. */
        if (length >= 8 && !(c->bounded && length > c->end - c->i))
            shorten(c, length);
        else if (length)
            mark(f, AW_FRAME_BAD);
        if (length && !c->routed && !(f->bits & (AW_FRAME_BAD | AW_FRAME_TRUNCATED))) f->header = 8;
        c->i += 8;
    }
    f->payload = (uint32_t)c->i;
    f->length = (uint32_t)(c->end - c->i);
}

static void tcp(cursor *c) {
    aw_frame *f = c->f;
    const uint8_t *h = c->p + c->i;
    if (has(c, 4)) {
        f->sport = (uint16_t)be16(h);
        f->dport = (uint16_t)be16(h + 2);
    }
    if (f->bits & AW_FRAME_FRAGMENT) return;
    if (!has(c, 20)) {
        mark(f, AW_FRAME_BAD);
        c->i = c->end;
    } else {
        size_t header = (size_t)(h[12] >> 4) * 4;
        f->seq = be32(h + 4);
        f->tcp_flags = h[13];
        if (header < 20 || !has(c, header)) {
            mark(f, AW_FRAME_BAD);
            header = c->end - c->i;
        } else if (!c->routed && !(f->bits & AW_FRAME_TRUNCATED)) {
            f->header = (uint8_t)header;
        }
        c->i += header;
    }
    f->payload = (uint32_t)c->i;
    f->length = (uint32_t)(c->end - c->i);
}

static int follow(cursor *c, enum layer next) {
    for (int n = 0; n < LAYERS; n++) {
        switch (next) {
        case L_ETHERNET: next = ethernet(c); break;
        case L_TYPE: next = ethertype(c); break;
        case L_PPP: next = ppp(c); break;
        case L_PPPOE: next = pppoe(c); break;
        case L_IP: next = !has(c, 1) ? bad(c) : c->p[c->i] >> 4 == 6 ? L_IPV6 : L_IPV4; break;
        case L_IPV4: next = ipv4(c); break;
        case L_IPV6: next = ipv6(c); break;
        case L_GRE: next = gre(c); break;
        case L_UDP: udp(c); return 1;
        case L_TCP: tcp(c); return 1;
        case L_STOP: return c->f->bits & AW_FRAME_FRAGMENT && may_carry(c->f->version, c->f->proto);
        }
    }
    mark(c->f, AW_FRAME_BAD);
    return 0;
}

int aw_frame_parse(const uint8_t *p, size_t caplen, uint32_t linktype, aw_frame *out) {
    cursor c = {.p = p, .end = caplen, .f = out};
    memset(out, 0, sizeof *out);
    if (caplen > 0xffffffffu) c.end = 0xffffffffu;
    switch (linktype) {
    case AW_DLT_EN10MB: return follow(&c, L_ETHERNET);
    case AW_DLT_RAW:
    case AW_DLT_LINKTYPE_RAW:
    case AW_DLT_IPV4:
    case AW_DLT_IPV6: return follow(&c, L_IP);
    case AW_DLT_PPP: return follow(&c, L_PPP);
    case AW_DLT_NULL:
    case AW_DLT_LOOP: return follow(&c, bsd_loopback(&c));
    case AW_DLT_LINUX_SLL: return follow(&c, cooked(&c));
    case AW_DLT_LINUX_SLL2: return follow(&c, cooked2(&c));
    case AW_DLT_NFLOG: return follow(&c, nflog(&c));
    default: return 0;
    }
}

int aw_frame_parse_ip(const uint8_t *p, size_t at, size_t end, aw_frame *out) {
    cursor c = {.p = p, .i = at, .end = end, .f = out};
    memset(out, 0, sizeof *out);
    return follow(&c, L_IP);
}
