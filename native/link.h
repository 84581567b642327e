/* SPDX-License-Identifier: Apache-2.0 */
/* Link layers: Ethernet, VLAN tags, PPP, cooked captures, NFLOG. Each reads its header and names
 * the next layer. For frame.c only. */
#ifndef AW_LINK_H
#define AW_LINK_H

#include "cursor.h"

/* clang-format off */
enum {
    ETH_IPV4 = 0x0800, ETH_VLAN = 0x8100, ETH_IPV6 = 0x86dd, ETH_PPP = 0x880b, ETH_PPPOE = 0x8864,
    ETH_QINQ = 0x88a8, ETH_QINQ_OLD = 0x9100, ETH_BRIDGED = 0x6558
};
/* clang-format on */

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

#endif
