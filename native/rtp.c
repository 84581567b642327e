/* SPDX-License-Identifier: Apache-2.0 */
/* RTP counted by the media that SIP announced (RFC 3264, RFC 3550). Packets and bytes, the first
 * and the last: no payload is kept.
 *
 * A file is scanned further than its messages are judged, so nobody can name the flows in time: the
 * scanner itself reads what the messages announce. It puts their bodies on a shelf, and reads
 * them when RTP comes. */
#include <string.h>
#include "packet.h"

enum {
    LONGEST_BODY = 8192,
    IDLE = 1000000000, /* ns without a packet, after which a stream may lose its place */
    WALK = 64          /* entries of a list that are looked at: a hostile sender makes lists long */
};

/* What stands on the shelf, in front of the body. A BYE has none. */
typedef struct {
    uint64_t call, at;
    uint32_t sender, length; /* length: of the body */
    uint8_t source[16];
    uint8_t tap, bye, request, reserved[5];
} shelved;

/* ---- addresses ---- */

static int hex_of(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int read_ipv4(const uint8_t *p, size_t n, uint8_t out[4]) {
    size_t i = 0;
    for (int part = 0; part < 4; part++) {
        unsigned value = 0, digits = 0;
        for (; i < n && p[i] >= '0' && p[i] <= '9' && digits < 3; i++, digits++)
            value = value * 10 + (p[i] - (unsigned)'0');
        if (!digits || value > 255) return 0;
        out[part] = (uint8_t)value;
        if (part < 3 && (i == n || p[i++] != '.')) return 0;
    }
    return i == n;
}

/* RFC 4291 section 2.2. */
static int read_ipv6(const uint8_t *p, size_t n, uint8_t out[16]) {
    size_t i = 0, count = 0, gap = 17; /* 17: none */
    memset(out, 0, 16);
    if (n >= 2 && p[0] == ':' && p[1] == ':') gap = 0, i = 2;
    while (i < n) {
        unsigned value = 0;
        size_t digits = 0;
        if (count > 14) return 0;
        if (count <= 12 && read_ipv4(p + i, n - i, out + count)) {
            count += 4;
            i = n;
            break;
        }
        for (; i < n && digits < 4 && hex_of(p[i]) >= 0; i++, digits++)
            value = value << 4 | (unsigned)hex_of(p[i]);
        if (!digits) return 0;
        out[count++] = (uint8_t)(value >> 8);
        out[count++] = (uint8_t)value;
        if (i == n) break;
        if (p[i++] != ':' || i == n) return 0;
        if (p[i] == ':') {
            if (gap < 17) return 0;
            gap = count;
            i++;
        }
    }
    if (gap == 17) return count == 16;
    if (count > 14) return 0;
    for (size_t k = count - gap; k-- > 0;) { /* what is behind the gap, to the end */
        out[16 - (count - gap) + k] = out[gap + k];
        out[gap + k] = 0;
    }
    return 1;
}

/* ---- lists: of the announcements with one port, and of those of one call ---- */

static uint16_t *call_head(aw_rtp *rtp, uint64_t call) {
    return &rtp->by_call[call & (AW_OF_A_CALL - 1)];
}

static void unlink_port(aw_rtp *rtp, aw_announced *a) {
    if (!a->linked) return;
    if (a->next) rtp->announced[a->next - 1].before = a->before;
    if (a->before)
        rtp->announced[a->before - 1].next = a->next;
    else
        rtp->by_port[a->port] = a->next;
    a->next = a->before = 0;
    a->linked = 0;
}

static void link_port(aw_rtp *rtp, aw_announced *a) {
    const uint16_t own = (uint16_t)(a - rtp->announced + 1);
    a->next = rtp->by_port[a->port];
    if (a->next) rtp->announced[a->next - 1].before = own;
    rtp->by_port[a->port] = own;
    a->linked = 1;
}

static void unlink_call(aw_rtp *rtp, const aw_announced *a) {
    if (a->earlier) rtp->announced[a->earlier - 1].later = a->later;
    if (a->later)
        rtp->announced[a->later - 1].earlier = a->earlier;
    else
        *call_head(rtp, a->call) = a->earlier;
}

/* The announcement in force for an endpoint, NULL of none. */
static aw_announced *find(aw_rtp *rtp, uint8_t tap, const uint8_t address[16], uint8_t version,
                          uint16_t port) {
    uint16_t at = rtp->by_port[port];
    for (int i = 0; at && i < WALK; i++) {
        aw_announced *a = &rtp->announced[at - 1];
        if (a->tap == tap && a->version == version && memcmp(a->address, address, 16) == 0)
            return a;
        at = a->next;
    }
    return NULL;
}

/* ---- announcements ---- */

static int is_same(const aw_announced *a, const aw_announced *b) {
    return a->port == b->port && a->version == b->version && a->ways == b->ways &&
           memcmp(a->address, b->address, 16) == 0;
}

/* What the same end said before of the same line, NULL of nothing. */
static const aw_announced *before(const aw_rtp *rtp, const aw_announced *a) {
    uint16_t at = rtp->by_call[a->call & (AW_OF_A_CALL - 1)];
    for (int i = 0; at && i < WALK; i++) {
        const aw_announced *old = &rtp->announced[at - 1];
        if (old->call == a->call && old->tap == a->tap && old->sender == a->sender &&
            old->index == a->index && !(old->bits & AW_ANNOUNCED_LEARNED) &&
            memcmp(old->source, a->source, 16) == 0)
            return old;
        at = old->earlier;
    }
    return NULL;
}

static void keep(aw_rtp *rtp, const aw_announced *made) {
    static const uint8_t zero[16];
    const uint32_t room = rtp->room ? rtp->room : AW_ANNOUNCED;
    uint32_t slot = rtp->used;
    if (slot < room) {
        rtp->used++;
    } else {
        slot = rtp->oldest;
        rtp->oldest = (slot + 1) % room;
        unlink_port(rtp, &rtp->announced[slot]);
        unlink_call(rtp, &rtp->announced[slot]);
    }
    aw_announced *a = &rtp->announced[slot];
    *a = *made;
    uint16_t *head = call_head(rtp, a->call);
    a->earlier = *head;
    if (*head) rtp->announced[*head - 1].later = (uint16_t)(slot + 1);
    *head = (uint16_t)(slot + 1);
    if (!a->port || !a->version || memcmp(a->address, zero, 16) == 0) return; /* nothing comes */
    aw_announced *old = find(rtp, a->tap, a->address, a->version, a->port);
    if (old) unlink_port(rtp, old);
    link_port(rtp, a);
}

static int is_audio(const uint8_t *p, const aw_media *m) {
    if (m->kind.len != 5 || memcmp(p + m->kind.off, "audio", 5) != 0) return 0;
    for (size_t i = m->kind.off; i + 4 <= (size_t)m->line.off + m->line.len; i++)
        if (memcmp(p + i, "RTP/", 4) == 0) return 1;
    return 0;
}

static void announce(aw_rtp *rtp, const shelved *of, const uint8_t *p) {
    aw_sdp sdp;
    if (aw_sdp_scan(p, of->length, &sdp) < 0) return;
    for (unsigned i = 0; i < sdp.media_count; i++) {
        const aw_media *m = &sdp.media[i];
        const aw_span host = m->address.len ? m->address : sdp.address;
        aw_announced a;
        memset(&a, 0, sizeof a);
        a.call = of->call;
        a.at = of->at;
        a.sender = of->sender;
        a.port = m->port;
        a.ways = m->bits & (AW_MEDIA_INACTIVE | AW_MEDIA_SENDONLY | AW_MEDIA_RECVONLY);
        a.tap = of->tap;
        a.index = (uint8_t)i;
        if (of->request) a.bits |= AW_ANNOUNCED_REQUEST;
        if (sdp.ice || m->bits & AW_MEDIA_CANDIDATE) a.bits |= AW_ANNOUNCED_ICE;
        memcpy(a.source, of->source, 16);
        if (read_ipv4(p + host.off, host.len, a.address))
            a.version = 4;
        else if (read_ipv6(p + host.off, host.len, a.address))
            a.version = 6;
        else
            a.bits |= AW_ANNOUNCED_NAME;
        if (!a.version) memset(a.address, 0, 16);
        const aw_announced *old = before(rtp, &a);
        if (!is_audio(p, m)) { /* of audio that became fax (T.38) no RTP comes any more */
            if (!old) continue;
            a.port = 0;
        }
        /* Not of a retransmission or a session refresh. */
        if (!old || !is_same(old, &a)) keep(rtp, &a);
    }
}

static void end_call(aw_rtp *rtp, const shelved *bye) {
    uint16_t at = *call_head(rtp, bye->call);
    for (int i = 0; at && i < WALK; i++) {
        aw_announced *a = &rtp->announced[at - 1];
        if (a->call == bye->call && a->tap == bye->tap && !a->ended) a->ended = bye->at;
        at = a->earlier;
    }
}

void aw_rtp_settle(aw_rtp *rtp) {
    uint32_t i = 0;
    while (i + sizeof(shelved) <= rtp->waiting) {
        shelved one;
        memcpy(&one, rtp->shelf + i, sizeof one);
        i += (uint32_t)sizeof one;
        if (one.bye)
            end_call(rtp, &one);
        else
            announce(rtp, &one, rtp->shelf + i);
        i += one.length;
    }
    rtp->waiting = 0;
}

/* ---- from the scanner ---- */

/* Methods with an offer or an answer (RFC 3261 section 13.2.1, RFC 3262, RFC 3311). */
static int may_announce(const aw_row *row) {
    if (row->status >= 300 || !(row->bits & AW_ROW_SDP)) return 0;
    if (row->method == AW_ACK) return !row->status;
    return row->method == AW_INVITE || row->method == AW_UPDATE || row->method == AW_PRACK;
}

void aw_rtp_message(aw_rtp *rtp, const aw_row *row, const aw_frame *f, const uint8_t *body,
                    size_t length) {
    shelved one = {.call = row->call, .at = row->at, .tap = row->tap, .request = !row->status};
    one.bye = row->method == AW_BYE && !row->status;
    if (one.bye)
        length = 0;
    else if (!may_announce(row))
        return;
    if (length > LONGEST_BODY) {
        rtp->forgotten++;
        return;
    }
    const int full = rtp->waiting + sizeof one + length > AW_SHELF;
    if (full && rtp->room) {
        aw_rtp_settle(rtp);
    } else if (full) {
        /* So many messages and no RTP among them: their media are not in this capture. */
        rtp->forgotten++;
        rtp->waiting = 0;
    }
    one.sender = row->status ? row->to_tag : row->from_tag;
    one.length = (uint32_t)length;
    memcpy(one.source, f->src, 16);
    memcpy(rtp->shelf + rtp->waiting, &one, sizeof one);
    if (length) memcpy(rtp->shelf + rtp->waiting + sizeof one, body, length);
    rtp->waiting += (uint32_t)(sizeof one + length);
}

/* The far end of a stream may be sent to from elsewhere (a symmetric relay): watched as well. */
static void learn(aw_rtp *rtp, const aw_announced *from, const uint8_t address[16], uint16_t port,
                  uint64_t at) {
    if (!port || find(rtp, from->tap, address, from->version, port)) return;
    aw_announced a;
    memset(&a, 0, sizeof a);
    a.call = from->call;
    a.at = at;
    a.sender = from->sender;
    a.port = port;
    a.bits = AW_ANNOUNCED_LEARNED;
    a.version = from->version;
    a.tap = from->tap;
    a.index = from->index;
    memcpy(a.address, address, 16);
    memcpy(a.source, from->source, 16);
    keep(rtp, &a);
}

/* Is this an end of the call: did it send a message, or was it announced? */
static int is_party(const aw_rtp *rtp, const aw_announced *a, const uint8_t other[16],
                    uint16_t port) {
    uint16_t at = rtp->by_call[a->call & (AW_OF_A_CALL - 1)];
    for (int i = 0; at && i < WALK; i++) {
        const aw_announced *one = &rtp->announced[at - 1];
        if (one->call == a->call && one->tap == a->tap && !(one->bits & AW_ANNOUNCED_LEARNED) &&
            (memcmp(one->source, other, 16) == 0 ||
             (one->port == port && memcmp(one->address, other, 16) == 0)))
            return 1;
        at = one->earlier;
    }
    return 0;
}

/* The end of the stream that goes is watched no more, but that of the stream that comes: what is
 * learned must not add up. */
static void relearn(aw_rtp *rtp, const aw_announced *from, const aw_stream *old,
                    const uint8_t address[16], uint16_t port, uint64_t at) {
    aw_announced *a = find(rtp, from->tap, old->address, from->version, old->port);
    if (!a || a == from || a->call != from->call || !(a->bits & AW_ANNOUNCED_LEARNED) || !port ||
        find(rtp, from->tap, address, from->version, port))
        return;
    unlink_port(rtp, a);
    memset(a->streams, 0, sizeof a->streams);
    a->at = at;
    a->more = 0;
    a->port = port;
    memcpy(a->address, address, 16);
    link_port(rtp, a);
}

/* The place of a stream that is the fifth of an announcement, NULL of none. Anybody can send to an
 * announced port, so a stranger takes only the place of a stream that has stopped. */
static aw_stream *place(aw_rtp *rtp, aw_announced *a, const uint8_t other[16], uint16_t port,
                        uint8_t inwards, uint64_t at) {
    aw_stream *least = a->streams;
    int known = !inwards;
    for (int i = 0; i < AW_STREAMS; i++) {
        aw_stream *s = &a->streams[i];
        known |= s->port == port && memcmp(s->address, other, 16) == 0; /* it answers */
        if (s->inwards > least->inwards ||
            (s->inwards == least->inwards && s->packets < least->packets))
            least = s;
    }
    if (at < least->last + IDLE && !(least->inwards && (known || is_party(rtp, a, other, port))))
        return NULL;
    if (inwards) relearn(rtp, a, least, other, port, at);
    a->more += least->packets < UINT32_MAX - a->more ? least->packets : UINT32_MAX - a->more;
    memset(least, 0, sizeof *least);
    return least;
}

static void count(aw_rtp *rtp, aw_announced *a, const uint8_t other[16], uint16_t port,
                  uint8_t inwards, uint64_t at, uint32_t length) {
    if (a->ended && at > a->ended) return;
    aw_stream *s = NULL;
    for (int i = 0; i < AW_STREAMS && !s; i++) {
        aw_stream *one = &a->streams[i];
        if (!one->packets ||
            (one->inwards == inwards && one->port == port && memcmp(one->address, other, 16) == 0))
            s = one;
    }
    const int late = !s;
    if (late) s = place(rtp, a, other, port, inwards, at);
    if (!s) {
        if (a->more != UINT32_MAX) a->more++;
        return;
    }
    const int fresh = !s->packets;
    if (fresh) {
        s->first = at;
        s->port = port;
        s->inwards = inwards;
        memcpy(s->address, other, 16);
    }
    if (s->packets != UINT32_MAX) s->packets++;
    s->bytes += length;
    if (at > s->last) s->last = at;
    if (!rtp->first[a->tap]) rtp->first[a->tap] = at;
    /* It may push out this very announcement. */
    if (fresh && inwards && !late && !(a->bits & AW_ANNOUNCED_LEARNED))
        learn(rtp, a, other, port, at);
}

void aw_rtp_packet(aw_rtp *rtp, uint8_t tap, uint64_t at, const aw_frame *f) {
    if (rtp->waiting) aw_rtp_settle(rtp);
    if (rtp->by_port[f->dport]) {
        aw_announced *to = find(rtp, tap, f->dst, f->version, f->dport);
        if (to) count(rtp, to, f->src, f->sport, 1, at, f->length);
    }
    if (rtp->by_port[f->sport]) {
        aw_announced *from = find(rtp, tap, f->src, f->version, f->sport);
        if (from) count(rtp, from, f->dst, f->dport, 0, at, f->length);
    }
}
