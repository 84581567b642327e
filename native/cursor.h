/* SPDX-License-Identifier: Apache-2.0 */
/* Cursor: a place in a frame, the bytes left there, and the next layer. */
#ifndef AW_CURSOR_H
#define AW_CURSOR_H

#include "packet.h"

/* clang-format off */
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

#endif
