/* SPDX-License-Identifier: Apache-2.0 */
/* Link layer to transport payload. Every length field is checked against the captured length. */
#include <string.h>
#include "packet.h"

/* clang-format off */
enum {
    LAYERS = 12,            /* link layers, tags and tunnels that are followed in one frame */
    EXTENSION_HEADERS = 16, /* of one IPv6 packet */
    ETH_IPV4 = 0x0800, ETH_VLAN = 0x8100, ETH_IPV6 = 0x86dd, ETH_PPP = 0x880b, ETH_PPPOE = 0x8864,
    ETH_QINQ = 0x88a8, ETH_QINQ_OLD = 0x9100, ETH_BRIDGED = 0x6558,
    IP_IPIP = 4, IP_TCP = 6, IP_UDP = 17, IP_IPV6 = 41, IP_GRE = 47
};

/* The next layer in the frame. */
enum layer {
    L_STOP, L_ETHERNET, L_TYPE, L_PPP, L_PPPOE, L_IP, L_IPV4, L_IPV6, L_GRE, L_UDP, L_TCP
};
/* clang-format on */

typedef struct {
    const uint8_t *p;
    size_t i, end;
    uint32_t type; /* ethertype at L_TYPE */
    aw_frame *f;
    int bounded, routed; /* the IP header says where the packet ends; its destination is not dst */
} cursor;

static uint32_t be16(const uint8_t *p) {
    return (uint32_t)p[0] << 8 | p[1];
}
static uint32_t be32(const uint8_t *p) {
    return be16(p) << 16 | be16(p + 2);
}
static uint32_t le32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void mark(aw_frame *f, unsigned bit) {
    f->bits = (uint8_t)(f->bits | bit);
}

static int has(const cursor *c, size_t n) {
    return c->end - c->i >= n;
}

static void unmark(aw_frame *f, unsigned bit) {
    f->bits = (uint8_t)(f->bits & ~bit);
}

static enum layer bad(cursor *c) {
    mark(c->f, AW_FRAME_BAD);
    return L_STOP;
}

/* The layer's own length field says that `length` bytes are left: padding goes, a cut is marked.
 * A whole layer stays whole if only bytes behind it in the layer below were cut. */
static void shorten(cursor *c, size_t length) {
    if (length > c->end - c->i) {
        mark(c->f, AW_FRAME_TRUNCATED);
        c->f->beyond = 1;
    } else {
        unmark(c->f, AW_FRAME_TRUNCATED);
        c->end = c->i + length;
    }
}

/* ---- link layers ---- */

static enum layer ethernet(cursor *c) {
    if (!has(c, 14)) return bad(c);
    c->type = be16(c->p + c->i + 12);
    c->i += 14;
    return L_TYPE;
}

static enum layer ethertype(cursor *c) {
    switch (c->type) {
    case ETH_IPV4: return L_IPV4;
    case ETH_IPV6: return L_IPV6;
    case ETH_PPPOE: return L_PPPOE;
    case ETH_BRIDGED: return L_ETHERNET;
    case ETH_PPP: return L_PPP;
    case ETH_VLAN:
    case ETH_QINQ:
    case ETH_QINQ_OLD:
        if (!has(c, 4)) return bad(c);
        c->f->vlan = (uint16_t)(be16(c->p + c->i) & 0xfff);
        mark(c->f, AW_FRAME_VLAN);
        c->type = be16(c->p + c->i + 2);
        c->i += 4;
        return L_TYPE;
    default: return L_STOP;
    }
}

/* RFC 1661 with the compressions that RFC 1661 section 6.5 and 6.6 allow. */
static enum layer ppp(cursor *c) {
    if (has(c, 2) && c->p[c->i] == 0xff && c->p[c->i + 1] == 0x03) c->i += 2;
    if (!has(c, 1)) return bad(c);
    uint32_t protocol = c->p[c->i];
    if (protocol & 1) {
        c->i += 1;
    } else {
        if (!has(c, 2)) return bad(c);
        protocol = be16(c->p + c->i);
        c->i += 2;
    }
    return protocol == 0x21 ? L_IPV4 : protocol == 0x57 ? L_IPV6 : L_STOP;
}

static enum layer pppoe(cursor *c) { /* RFC 2516 section 4 */
    const uint8_t *h = c->p + c->i;
    if (!has(c, 6)) return bad(c);
    if (h[0] != 0x11 || h[1] != 0) return L_STOP; /* not a session's data */
    mark(c->f, AW_FRAME_PPPOE);
    c->i += 6;
    shorten(c, be16(h + 4));
    return L_PPP;
}

static enum layer bsd_loopback(cursor *c) {
    if (!has(c, 4)) return bad(c);
    /* The address family in the byte order of the machine that captured: it is small. */
    const uint32_t little = le32(c->p + c->i), big = be32(c->p + c->i);
    const uint32_t family = little < big ? little : big;
    c->i += 4;
    switch (family) {
    case 2: return L_IPV4;
    case 10:
    case 24:
    case 28:
    case 30: return L_IPV6; /* Linux, NetBSD, FreeBSD, macOS */
    default: return L_STOP;
    }
}

/* sll_pkttype of a packet socket. One to another host only passed by, which tells no direction. */
static void packet_type(cursor *c, uint32_t type) {
    if (type == 4) mark(c->f, AW_FRAME_OUTGOING);
    if (type < 3 || type == 4) mark(c->f, AW_FRAME_DIRECTED);
}

static enum layer cooked(cursor *c) {
    const uint8_t *h = c->p + c->i;
    if (!has(c, 16)) return bad(c);
    packet_type(c, be16(h));
    c->type = be16(h + 14);
    c->i += 16;
    return L_TYPE;
}

static enum layer cooked2(cursor *c) {
    const uint8_t *h = c->p + c->i;
    if (!has(c, 20)) return bad(c);
    packet_type(c, h[10]);
    c->f->ifindex = be32(h + 4);
    c->type = be16(h);
    c->i += 20;
    return L_TYPE;
}

/* struct nflog_hdr and TLVs (libpcap pcap/nflog.h); lengths and types in the capturing machine's
 * byte order: a type is small, so the order that makes it small is the right one. A hook sees the
 * bytes before the helper has changed them, so no such packet has left, whatever its device. */
static enum layer nflog(cursor *c) {
    enum { HEADER = 1, INDEV = 4, OUTDEV = 5, PAYLOAD = 9, LOCAL_IN = 1, LOCAL_OUT = 3 };
    if (!has(c, 4)) return bad(c);
    c->i += 4;
    while (has(c, 4)) {
        const uint8_t *h = c->p + c->i;
        const int big = h[2] == 0 && h[3] != 0;
        const size_t length = big ? be16(h) : (size_t)h[1] << 8 | h[0];
        const unsigned type = big ? h[3] : h[2];
        if (length < 4 || !has(c, length)) {
            if (type != PAYLOAD || length < 4) return bad(c);
            mark(c->f, AW_FRAME_TRUNCATED);
            c->i += 4;
            return L_IP;
        }
        if (type == PAYLOAD) {
            c->end = c->i + length;
            c->i += 4;
            return L_IP;
        }
        /* A program of this machine is the phone: its packet comes in through the output hook, and
         * one for it leaves through the input hook. */
        if (type == HEADER && length >= 8 && (h[6] == LOCAL_IN || h[6] == LOCAL_OUT))
            mark(c->f, AW_FRAME_DIRECTED | (h[6] == LOCAL_IN ? AW_FRAME_OUTGOING : 0));
        if ((type == INDEV || type == OUTDEV) && length >= 8) c->f->ifindex = be32(h + 4);
        const size_t padded = (length + 3) & ~(size_t)3;
        c->i = padded > c->end - c->i ? c->end : c->i + padded;
    }
    return L_STOP;
}

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
