/* SPDX-License-Identifier: Apache-2.0 */
/* Packets to rows: packets without SIP are dropped here, before they reach Python. */
#include <string.h>
#include "identity.h"
#include "lies.h"
#include "packet.h"
#include "payload.h"
#include "scan.h"

/* One packet on its way to rows. */
typedef struct {
    const aw_tap *tap;
    const aw_packet *in;
    const aw_frame *frame;
    const uint8_t *p; /* of the frame */
    uint16_t point, bits;
    int watched;    /* a port is one of the configured SIP ports */
    int checked;    /* accepted() has looked at its checksums */
    uint32_t first; /* its first row */
    aw_output *out;
} packet;

static int is_watched(const aw_tap *tap, const aw_frame *f) {
    for (uint32_t i = 0; i < tap->port_count; i++)
        if (f->sport == tap->ports[i] || f->dport == tap->ports[i]) return 1;
    return 0;
}

/* The next row, with everything but the members that its kind adds. f: the frame with its
 * addresses. */
static aw_row *add_row(packet *k, const aw_frame *f, uint8_t kind, size_t at, size_t length) {
    aw_row *row = &k->out->rows[k->out->count];
    aw_ends *ends = &k->out->ends[k->out->count];
    k->out->count++;
    memset(row, 0, sizeof *row);
    row->at = k->in->at;
    row->flow = flow_hash(k->tap->key, f);
    row->payload = k->in->frame + (uint32_t)at;
    row->bits = k->bits;
    if (length > 65535) {
        length = 65535;
        row->bits |= AW_ROW_TRUNCATED;
    }
    row->length = (uint16_t)length;
    row->ip_id = f->ip_id;
    row->kind = kind;
    row->ttl = k->frame->ttl;
    row->tap = k->tap->tap;
    memcpy(ends->src, f->src, sizeof ends->src);
    memcpy(ends->dst, f->dst, sizeof ends->dst);
    ends->frame = k->in->frame;
    ends->caplen = k->in->caplen;
    ends->sport = f->sport;
    ends->dport = f->dport;
    ends->point = k->point;
    ends->proto = f->proto;
    ends->version = f->version;
    return row;
}

/* ---- SIP ---- */

static int begins(const uint8_t *p, aw_span s, const char *text, size_t length) {
    if (s.len < length) return 0;
    for (size_t i = 0; i < length; i++)
        if ((p[s.off + i] | 0x20) != text[i]) return 0;
    return 1;
}

static int carries_sdp(const uint8_t *p, const aw_sip *s) {
    if (!s->body.len) return 0;
    if (begins(p, s->content_type, "application/sdp", 15)) return 1;
    if (!begins(p, s->content_type, "multipart/", 10)) return 0;
    const uint8_t *at = p + s->body.off, *end = at + s->body.len;
    while ((at = memchr(at, '\n', (size_t)(end - at))) && end - at >= 4) {
        if (memcmp(at, "\nv=0", 4) == 0) return 1;
        at++;
    }
    return 0;
}

static uint32_t anomalies_of(const aw_sip *s) {
    return (uint32_t)s->anomalies[1] << 16 | s->anomalies[0];
}

/* The row of a message, as far as s knows its values. */
static aw_row *add_message(packet *k, uint8_t kind, const aw_sip *s, size_t at, size_t length) {
    const uint8_t *p = k->p + at;
    aw_row *row = add_row(k, k->frame, kind, at, length);
    unsigned bits = row->bits;

    if (anomalies_of(s) >> AW_CLIPPED & 1) bits |= AW_ROW_CLIPPED;
    if (s->contacts) bits |= AW_ROW_CONTACT;
    if (s->to.tag.len) bits |= AW_ROW_TAGGED;
    if (s->session_expires.len) bits |= AW_ROW_TIMER;
    if (s->vias && has_cookie(p, s->via[0].branch)) bits |= AW_ROW_COOKIE;
    if (carries_sdp(p, s)) bits |= AW_ROW_SDP;
    row->bits = (uint16_t)bits;
    row->status = s->status;
    row->method = (uint8_t)s->method;
    row->cseq = (uint32_t)s->cseq[0] << 16 | s->cseq[1];
    add_hashes(k->tap->key, p, s, row);
    return row;
}

static void add_sip(packet *k, const aw_sip *s, size_t at, size_t length) {
    aw_row *row = add_message(k, AW_KIND_SIP, s, at, length);
    const uint32_t clipped = (uint32_t)1 << AW_CLIPPED;
    /* A stream may have CRLFs between messages (RFC 3261 section 7.5): keep-alives, no defect. */
    const uint32_t allowed = row->bits & AW_ROW_TCP ? clipped | (uint32_t)1 << AW_LEADING_CRLF
                                                    : clipped;
    unsigned bits = row->bits & ~(unsigned)AW_ROW_TRUNCATED; /* the cut is behind this message */
    if (anomalies_of(s) & ~allowed) {
        bits |= AW_ROW_MALFORMED;
        k->out->counts->malformed++;
    }
    row->bits = (uint16_t)bits;
    k->out->counts->sip++;
    if (k->tap->rtp)
        aw_rtp_message(k->tap->rtp, row, k->frame, k->p + at + s->body.off, s->body.len);
}

/* ---- SIP that the capture cut ---- */

static int is_cut(const packet *k) {
    return (k->bits & AW_ROW_TRUNCATED) != 0;
}

/* Reads the captured part of a message: only whole lines, because half a value would be another
 * value. Returns 0 when it is not known to be SIP. */
static int read_cut(const uint8_t *p, size_t length, aw_sip *s) {
    size_t start = 0, lines = whole_lines(p, length);

    while (start < length && (p[start] == '\r' || p[start] == '\n')) start++;
    const uint8_t *feed = memchr(p + start, '\n', length - start);
    if (feed) {
        const size_t start_line = (size_t)(feed - p) + 1; /* which is never folded */
        return aw_sip_scan(p, lines > start_line ? lines : start_line, 0, s) > 0;
    }
    if (aw_may_become_sip(p + start, length - start) != 2) return 0;
    memset(s, 0, sizeof *s);
    const size_t word = skip(p, start, length, C_TOKEN);
    if (p[word] != '/') s->method = (uint16_t)aw_method_of(p + start, word - start);
    return 1;
}

static int add_cut(packet *k, size_t at, size_t length) {
    aw_sip s;
    const uint8_t *p = k->p + at;
    if (!read_cut(p, length, &s) || is_of_websocket(p, &s)) return 0;
    aw_row *row = add_message(k, AW_KIND_CUT, &s, at, length);
    const int identified = s.vias && s.cseq_value.off && s.from.all.off;
    /* A hash with a missing part would be that of another message. */
    if (!identified) row->pair = 0;
    if (row->bits & AW_ROW_COOKIE ? !s.method : !identified || !s.call_id.off) row->txn = 0;
    row->bits |= AW_ROW_TRUNCATED;
    k->out->counts->cut++;
    return 1;
}

/* Would a stack accept the packet? Asked before its first row, because most packets give none. In a
 * file a wrong checksum is marked, and what is left to the network card is no fault. */
static int accepted(packet *k) {
    const unsigned checks = k->in->checks;
    if (k->checked || checks == AW_CHECK_SENT || is_cut(k)) return 1;
    k->checked = 1;
    aw_frame f = *k->frame;
    if (checks == AW_CHECK_HEADER) f.header = 0;
    unsigned wrong = aw_wrong_sums(k->p, &f);
    /* UDP without a checksum: over IPv4 only (RFC 768, RFC 8200 section 8.1). */
    if (wrong & SUM_NONE && f.proto == 17 && f.version == 4) wrong &= ~(unsigned)SUM_NONE;
    if (checks != AW_CHECK_FILE) {
        if (!wrong && may_be_sent_on(k->p, &f)) return 1;
        k->out->counts->forged++;
        return 0;
    }
    if (wrong & (SUM_HEADER | SUM_PAYLOAD)) {
        k->bits |= AW_ROW_DAMAGED;
        k->out->counts->damaged++;
    }
    return 1;
}

/* The number of rows of the packet so far. */
static uint32_t given(const packet *k) {
    return k->out->count - k->first;
}

static void from_udp(packet *k) {
    const aw_frame *f = k->frame;
    const uint8_t *p = k->p + f->payload;
    aw_sip s;
    if (f->length && p[0] >= 0x80) { /* media begin so, and nothing that has a row */
        k->out->counts->other++;
        if (k->tap->rtp) aw_rtp_look(k->tap->rtp, k->tap->tap, k->in->at, f, p);
        return;
    }
    if (is_cut(k)) {
        if (may_be_sip(p, f->length) && add_cut(k, f->payload, f->length)) return;
    } else if (may_be_sip(p, f->length) && aw_sip_scan(p, f->length, 0, &s) > 0) {
        if (accepted(k)) add_sip(k, &s, f->payload, f->length);
        return;
    }
    if (k->watched && !is_cut(k) && is_keepalive(p, f->length)) {
        add_row(k, f, AW_KIND_KEEPALIVE, f->payload, f->length);
        k->out->counts->keepalive++;
    } else if (k->watched && is_stun(p, f->length)) {
        add_row(k, f, AW_KIND_STUN, f->payload, f->length);
        k->out->counts->stun++;
    } else { /* TLS needs a stream (RFC 8446 section 1): noise only looks like it */
        k->out->counts->other++;
    }
}

/* A connection to a SIP port that somebody opens, accepts, refuses or ends. Before it stands
 * there is no message to be seen. */
static void add_connect(packet *k) {
    enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
    const aw_frame *f = k->frame;
    if (is_cut(k) || f->header < 20 || !accepted(k)) return;
    const uint32_t header = f->payload - f->header;
    const uint8_t *number = k->p + header + 8; /* of acknowledgement */
    const uint32_t next = (uint32_t)number[0] << 24 | (uint32_t)number[1] << 16 |
                          (uint32_t)number[2] << 8 | number[3];
    aw_row *row = add_row(k, f, AW_KIND_CONNECT, header, f->header);
    row->status = f->tcp_flags & (FIN | SYN | RST | ACK);
    row->cseq = f->tcp_flags & ACK ? next - 1 : f->seq;
}

/* All whole messages in the segment; the rest is for capture/reassembly.py. */
static void from_tcp(packet *k) {
    const aw_frame *f = k->frame;
    const uint8_t *p = k->p;
    const size_t end = (size_t)f->payload + f->length;
    size_t i = f->payload;
    int code = AW_NOT_SIP;
    aw_sip s;

    if (!f->length) {
        k->out->counts->other++;
        if (f->tcp_flags & 7 && (k->watched || is_sips(f))) add_connect(k); /* FIN, SYN, RST */
        return;
    }
    while (i < end && given(k) < AW_ROWS_A_PACKET - 1) {
        code = may_be_sip(p + i, end - i) && !is_rest_of_via(p + i, end - i)
                   ? aw_sip_scan(p + i, end - i, 1, &s)
                   : AW_NOT_SIP;
        if (code <= 0 || is_of_websocket(p + i, &s)) break;
        if (!accepted(k)) return;
        add_sip(k, &s, i, (size_t)code);
        i += (size_t)code;
    }
    if (i == end) return;
    if (is_cut(k) && starts_like_sip(p + i, end - i, code) && add_cut(k, i, end - i)) return;
    if (k->watched && !is_cut(k) && is_keepalive(p + i, end - i)) {
        add_row(k, f, AW_KIND_KEEPALIVE, i, end - i);
        k->out->counts->keepalive++;
    } else if ((k->watched || is_sips(f)) && is_tls_handshake(p + i, end - i)) {
        add_row(k, f, AW_KIND_TLS, i, end - i);
        k->out->counts->tls++;
    } else if (k->watched && is_stun(p + i, end - i)) {
        add_row(k, f, AW_KIND_STUN, i, end - i);
        k->out->counts->stun++;
    } else if ((k->watched && !is_tls_record(p + i, end - i)) || given(k) ||
               starts_like_sip(p + i, end - i, code)) {
        if (!accepted(k)) return;
        add_row(k, f, AW_KIND_SEGMENT, i, end - i);
        k->out->counts->segments++;
    } else {
        k->out->counts->other++;
    }
}

static int is_icmp_error(const aw_frame *f, uint8_t type) {
    if (f->proto == 1 &&
        f->version == 4) /* RFC 792: unreachable, quench, redirect, exceeded, problem */
        return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    return f->proto == 58 && f->version == 6 && type >= 1 && type <= 4; /* RFC 4443 */
}

static int from_icmp(packet *k) {
    const aw_frame *f = k->frame;
    const uint8_t *p = k->p + f->payload;
    aw_frame quoted;
    /* Later fragments of it have no ICMP header. */
    if (f->bits & AW_FRAME_FRAGMENT || f->length < 8 || !is_icmp_error(f, p[0])) return 0;
    if (!aw_frame_parse_ip(k->p, f->payload + 8, (size_t)f->payload + f->length, &quoted) ||
        !is_watched(k->tap, &quoted))
        return 0;
    aw_row *row = add_row(k, &quoted, AW_KIND_ICMP, f->payload, f->length);
    row->status = (uint16_t)(p[0] << 8 | p[1]); /* type and code */
    /* The quoted packet is always cut; the bits describe it, not the ICMP packet. */
    row->bits = (uint16_t)((row->bits & AW_ROW_OUTGOING) | (quoted.proto == 6 ? AW_ROW_TCP : 0) |
                           (quoted.version == 6 ? AW_ROW_IPV6 : 0));
    k->out->counts->icmp++;
    return 1;
}

int aw_packet_scan(const aw_tap *tap, const aw_packet *in, aw_output *out) {
    aw_frame f;
    packet k = {.tap = tap, .in = in, .frame = &f, .out = out};
    aw_counts *counts = out->counts;
    unsigned bits = 0;

    k.p = in->buf + in->frame;
    k.first = out->count;
    counts->packets++;
    const int carries = aw_frame_parse(k.p, in->caplen, tap->linktype, &f);
    if (!f.version) {
        counts->not_ip++;
        return 0;
    }
    if (is_lie(in, &f)) {
        counts->forged++;
        return 0;
    }
    /* Of a live packet it is the outer header that came in or went out here. What that carries may
     * be written by anyone. */
    if (in->checks != AW_CHECK_FILE && f.bits & AW_FRAME_TUNNEL) {
        counts->other++;
        return 0;
    }
    if (f.bits & AW_FRAME_TRUNCATED) {
        counts->truncated++;
        bits |= AW_ROW_TRUNCATED;
    }
    if (in->outgoing || f.bits & AW_FRAME_OUTGOING) bits |= AW_ROW_OUTGOING;
    if (in->directed || f.bits & AW_FRAME_DIRECTED) bits |= AW_ROW_DIRECTED;
    if (f.proto == 6) bits |= AW_ROW_TCP;
    if (f.version == 6) bits |= AW_ROW_IPV6;
    k.bits = (uint16_t)bits;
    k.point = in->point ? in->point : f.ifindex ? (uint16_t)f.ifindex : f.vlan;
    if (!carries) {
        if (!from_icmp(&k)) counts->other++;
    } else if (f.bits & AW_FRAME_FRAGMENT) {
        if (!accepted(&k)) return 0;
        add_row(&k, &f, AW_KIND_FRAGMENT, f.payload, f.length);
        counts->fragments++;
    } else {
        k.watched = is_watched(tap, &f);
        if (f.proto == 6)
            from_tcp(&k);
        else
            from_udp(&k);
    }
    return (int)given(&k);
}

int aw_batch_scan(const aw_tap *tap, aw_packets *packets, aw_output *out) {
    uint32_t i = packets->next;

    out->count = 0;
    for (; i < packets->count && out->room - out->count >= AW_ROWS_A_PACKET; i++) {
        const uint32_t *record = packets->meta + (size_t)i * 4;
        const uint32_t direction = record[3] >> AW_META_SHIFT;
        aw_packet one = {.buf = packets->buf,
                         .frame = record[2],
                         .caplen = record[3] & (((uint32_t)1 << AW_META_SHIFT) - 1),
                         .outgoing = direction == AW_META_OUT,
                         .directed = direction == AW_META_IN || direction == AW_META_OUT};
        if (one.frame > packets->size) { /* the table does not fit its buffer */
            out->counts->packets++;
            out->counts->truncated++;
            continue;
        }
        if (one.caplen > packets->size - one.frame)
            one.caplen = (uint32_t)(packets->size - one.frame);
        one.at = (uint64_t)record[0] * 1000000000u + (uint64_t)record[1] * 1000u;
        aw_packet_scan(tap, &one, out);
    }
    packets->next = i;
    return (int)out->count;
}
