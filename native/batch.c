/* SPDX-License-Identifier: Apache-2.0 */
/* Packets to rows: packets without SIP are dropped here, before they reach Python. */
#include <string.h>
#include "packet.h"
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

static uint64_t never_zero(uint64_t hash) {
    return hash ? hash : 1;
}

static uint32_t short_hash(uint64_t hash) {
    return (uint32_t)hash ? (uint32_t)hash : 1;
}

static uint64_t hash_span(const packet *k, const uint8_t *p, aw_span s) {
    return s.len ? never_zero(aw_hash(k->tap->key, p + s.off, s.len)) : 0;
}

static uint32_t flow_hash(const uint8_t key[16], const aw_frame *f) {
    uint64_t words[5];
    /* Later fragments have no ports, so no fragment is keyed by them. */
    const int whole = !(f->bits & AW_FRAME_FRAGMENT);
    words[0] = (uint64_t)f->proto << 32 | (whole ? (uint32_t)f->sport << 16 | f->dport : 0);
    if (f->version == 4) {
        uint32_t src, dst;
        memcpy(&src, f->src, 4);
        memcpy(&dst, f->dst, 4);
        words[1] = (uint64_t)src << 32 | dst;
        return short_hash(aw_hash_words(key, words, 2));
    }
    memcpy(words + 1, f->src, 16);
    memcpy(words + 3, f->dst, 16);
    return short_hash(aw_hash_words(key, words, 5));
}

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

static int has_cookie(const uint8_t *p, aw_span branch) { /* RFC 3261 section 8.1.1.7 */
    static const char cookie[] = "z9hg4bk";
    if (branch.len <= 7) return 0; /* alone it identifies nothing: RFC 4475 section 3.2.1 */
    for (size_t i = 0; i < 7; i++)
        if ((p[branch.off + i] | 0x20) != (cookie[i] | 0x20)) return 0;
    return 1;
}

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

static void add_hashes(const packet *k, const uint8_t *p, const aw_sip *s, aw_row *row) {
    static const aw_via none;
    const aw_via *via = s->vias ? &s->via[0] : &none;
    const uint64_t branch = hash_span(k, p, via->branch);
    const uint64_t from_tag = hash_span(k, p, s->from.tag);
    const uint64_t to_tag = hash_span(k, p, s->to.tag);
    const uint64_t host = via->host.len
                              ? aw_hash_folded(k->tap->key, p + via->host.off, via->host.len)
                              : 0;
    uint64_t method = s->method;
    if (method == AW_OTHER_METHOD) {
        const aw_span name = s->status ? s->cseq_method : s->method_name;
        method |= aw_hash(k->tap->key, p + name.off, name.len) << 8;
    }
    const uint64_t port = via->port ? via->port : 5060;
    uint64_t words[6];

    row->call = hash_span(k, p, s->call_id);
    row->from_tag = from_tag ? short_hash(from_tag) : 0;
    row->to_tag = to_tag ? short_hash(to_tag) : 0;
    words[0] = branch;
    words[1] = host;
    words[2] = port << 32;
    words[3] = method == AW_ACK ? AW_INVITE : method;
    words[4] = row->call ^ row->cseq;
    words[5] = from_tag;
    row->txn = never_zero(aw_hash_words(k->tap->key, words, row->bits & AW_ROW_COOKIE ? 4 : 6));
    words[1] = (uint64_t)row->cseq << 32 | row->status;
    words[2] = method;
    words[3] = from_tag;
    row->pair = never_zero(aw_hash_words(k->tap->key, words, 4));
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
    add_hashes(k, p, s, row);
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

/* RFC 7118 section 5: it stood behind the header of a WebSocket frame, and a client masks the
 * payload of such frames. */
static int is_of_websocket(const uint8_t *p, const aw_sip *s) {
    if (!s->vias || s->via[0].transport.len != 2) return 0;
    const uint8_t *transport = p + s->via[0].transport.off;
    return (transport[0] | 0x20) == 'w' && (transport[1] | 0x20) == 's';
}

/* Bytes of the lines that are whole: a captured byte behind them shows that no fold follows. */
static size_t whole_lines(const uint8_t *p, size_t length) {
    for (size_t i = length; i-- > 1;)
        if (p[i - 1] == '\n' && p[i] != ' ' && p[i] != '\t') return i;
    return 0;
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

/* ---- packets that are not SIP and belong to a SIP flow ---- */

static int is_keepalive(const uint8_t *p, size_t length) {
    if (!length || length > 10) return 0;
    for (size_t i = 0; i < length; i++)
        if (p[i] != 0 && p[i] != '\r' && p[i] != '\n' && p[i] != ' ') return 0;
    return 1;
}

static int is_stun(const uint8_t *p, size_t length) { /* RFC 5389 section 6 */
    return length >= 20 && p[0] < 0x40 && p[4] == 0x21 && p[5] == 0x12 && p[6] == 0xa4 &&
           p[7] == 0x42;
}

static int is_tls_handshake(const uint8_t *p, size_t length) {
    return length >= 3 && p[0] == 0x16 && p[1] == 0x03;
}

/* The other record types (RFC 8446 section 5.1): ciphertext, no part of a SIP message. */
static int is_tls_record(const uint8_t *p, size_t length) {
    return length >= 3 && p[0] >= 0x14 && p[0] <= 0x17 && p[1] == 0x03 && p[2] <= 4;
}

/* The port of SIP over TLS (RFC 3261 section 19.1.2), watched or not: nothing there can be read. */
static int is_sips(const aw_frame *f) {
    return f->sport == 5061 || f->dport == 5061;
}

/* True if the first bytes may be SIP. Cheap; may accept other bytes, never refuses SIP. */
static int may_be_sip(const uint8_t *p, size_t length) {
    size_t i = 0;
    while (i < length && (p[i] == '\r' || p[i] == '\n')) i++;
    if (length - i < 4) return 0;
    for (size_t n = 0; n < 3; n++)
        if (!is(p[i + n], C_TOKEN) && p[i + n] != ' ') return 0;
    return is(p[i + 3], C_TOKEN) || p[i + 3] == ' ' || p[i + 3] == '/' || p[i + 3] == '\t';
}

/* A Via cut in front of its protocol: in a stream that is the rest of a message, not a status line
 * with a wrong version. */
static int is_rest_of_via(const uint8_t *p, size_t length) {
    return length >= 8 && memcmp(p, "SIP/2.0/", 8) == 0;
}

/* No router sends on what came in with a TTL of 1 (RFC 1812 section 5.3.1) or with malformed
 * options, and none follows a source route unless it is told to (RFC 7126 section 4.3, Linux
 * accept_source_route). */
static int may_be_sent_on(const uint8_t *p, const aw_frame *f) {
    enum { END = 0, NOP = 1, LOOSE = 131, STRICT = 137 };
    if (f->ttl <= 1) return 0;
    if (f->version != 4) return 1;
    const uint8_t *h = p + f->ip;
    const size_t end = (size_t)(h[0] & 15) * 4;
    for (size_t i = 20; i < end && h[i] != END;) {
        if (h[i] == NOP) {
            i++;
            continue;
        }
        if (h[i] == LOOSE || h[i] == STRICT || i + 1 == end) return 0;
        const size_t length = h[i + 1];
        if (length < 2 || length > end - i) return 0;
        i += length;
    }
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
    } else if (k->watched && is_tls_handshake(p, f->length)) {
        add_row(k, f, AW_KIND_TLS, f->payload, f->length);
        k->out->counts->tls++;
    } else {
        k->out->counts->other++;
    }
}

static int starts_like_sip(const uint8_t *p, size_t length, int code) {
    if (code != AW_PARTIAL && code != AW_TOO_LONG) return 0;
    if (memchr(p, '\n', length)) return 1; /* its start line was seen */
    return aw_may_become_sip(p, length) == 2;
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

/* Lengths that contradict each other. Where the capture cut nothing, so does one beyond the end of
 * the frame: it must not pass for a message that was not captured whole. */
static int is_lie(const aw_packet *in, const aw_frame *f) {
    if (in->checks == AW_CHECK_SENT) return 0;
    if (in->whole && f->beyond) return 1;
    return !(f->bits & AW_FRAME_TRUNCATED) && f->bits & AW_FRAME_BAD &&
           (f->proto == 17 || f->proto == 6) && !(f->bits & AW_FRAME_FRAGMENT);
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
