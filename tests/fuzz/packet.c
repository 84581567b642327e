/* SPDX-License-Identifier: Apache-2.0 */
/* aw_packet_scan and aw_batch_scan: from captured bytes to rows. The first two bytes of an input
 * say how to read the rest: link type; bits of `how` below. Then, for each packet, two bytes
 * length and the frame, or (STREAM) the bytes of a TCP connection.
 *
 * - Nothing around the buffer is read (fuzz_exact), nothing behind the last row is written.
 * - A packet gives at most AW_ROWS_A_PACKET rows; kinds and bits are known ones; a message lies in
 *   its frame, the frame in the buffer, and the rows of a packet stand in order.
 * - Counts add up: each packet, each row of each kind.
 * - Rows do not depend on what was in them, on where the packet lies in the buffer, on the room
 *   for rows, or on which packets came before.
 * - A message that the capture cut says nothing that more of it would not say as well.
 * - A row of a connection is the only one of its packet: a whole TCP header, with nothing behind
 * it, whose flags and number it gives.
 * - A SIP row says what aw_sip_scan says of its bytes; its hashes are those of the values, and the
 *   same bytes in a packet of their own give the same hashes again.
 * - A table that lies about its buffer gives no row outside it.
 * - A TCP connection gives the same messages however it is cut in two, the rest of the first
 *   segment being put in front of the second.
 * - Every variant agrees: the portable one makes the same rows (or that of REFERENCE, a commit).
 * - The time is in proportion to the length (FUZZ_COST).
 */
#include "fuzz.h"
#include "links.h"

enum how { STREAM = 1, OUTGOING = 2, NO_PORTS = 4, LYING = 8, FEW_ROWS = 16 };
enum { PACKETS = 64, ROWS = (PACKETS + 2) * AW_ROWS_A_PACKET };

static const uint8_t key[16] = "fuzzing the rows";
static const uint16_t ports[] = {5060, 5080};

#ifdef REFERENCE
int ref_aw_packet_scan(const aw_tap *tap, const aw_packet *packet, aw_output *out);
#endif
#ifdef COUNTED
int cost_aw_packet_scan(const aw_tap *tap, const aw_packet *packet, aw_output *out);
#endif

typedef struct {
    aw_tap tap;
    uint8_t outgoing;
} setting;

typedef int packet_scan(const aw_tap *tap, const aw_packet *packet, aw_output *out);

/* The rows of one packet by one of the variants, from rows[0] on. */
static int rows_by(packet_scan *scan, const setting *is, const uint8_t *frame, uint32_t caplen,
                   uint64_t at, aw_row *rows, aw_ends *ends, aw_counts *counts) {
    const aw_packet packet = {.buf = frame, .caplen = caplen, .at = at, .outgoing = is->outgoing};
    aw_output out = {.rows = rows, .ends = ends, .room = AW_ROWS_A_PACKET, .counts = counts};
    const int n = scan(&is->tap, &packet, &out);
    CHECK(n == (int)out.count);
    return n;
}

static int hash_is(uint64_t hash, const uint8_t *p, aw_span s) {
    if (!s.len) return hash == 0;
    const uint64_t expected = aw_hash(key, p + s.off, s.len);
    return hash == (expected ? expected : 1);
}

static int short_is(uint32_t hash, const uint8_t *p, aw_span s) {
    if (!s.len) return hash == 0;
    const uint32_t expected = (uint32_t)aw_hash(key, p + s.off, s.len);
    return hash == (expected ? expected : 1);
}

static void check_sip_row(const uint8_t *p, const aw_row *row) {
    static aw_sip s;
    const int code = aw_sip_scan(p, row->length, row->bits & AW_ROW_TCP, &s);
    const uint32_t anomalies = (uint32_t)s.anomalies[1] << 16 | s.anomalies[0];
    uint32_t allowed = 1u << AW_CLIPPED;
    if (row->bits & AW_ROW_TCP) allowed |= 1u << AW_LEADING_CRLF; /* RFC 3261 section 7.5 */
    CHECK(code == (int)row->length);
    CHECK(row->status == s.status && row->method == s.method);
    CHECK(row->cseq == ((uint32_t)s.cseq[0] << 16 | s.cseq[1]));
    CHECK(!(row->bits & AW_ROW_CONTACT) == !s.contacts);
    CHECK(!(row->bits & AW_ROW_TAGGED) == !s.to.tag.len);
    CHECK(!(row->bits & AW_ROW_CLIPPED) == !(anomalies >> AW_CLIPPED & 1));
    CHECK(!(row->bits & AW_ROW_MALFORMED) == !(anomalies & ~allowed));
    CHECK(!(row->bits & AW_ROW_TRUNCATED));
    if (row->bits & AW_ROW_SDP) CHECK(s.body.len);
    if (row->bits & AW_ROW_COOKIE) CHECK(s.vias && s.via[0].branch.len > 7);
    CHECK(hash_is(row->call, p, s.call_id));
    CHECK(short_is(row->from_tag, p, s.from.tag) && short_is(row->to_tag, p, s.to.tag));
    CHECK(row->txn && row->pair);
}

/* header: TCP's (RFC 9293 section 3.1). */
static void check_connect_row(const uint8_t *header, const aw_row *row, const aw_ends *ends) {
    enum { FIN = 1, SYN = 2, RST = 4, ACK = 16 };
    const uint8_t *number = header + (header[13] & ACK ? 8 : 4);
    const uint32_t seq = (uint32_t)number[0] << 24 | (uint32_t)number[1] << 16 |
                         (uint32_t)number[2] << 8 | number[3];
    CHECK(ends->proto == 6 && row->bits & AW_ROW_TCP && !(row->bits & AW_ROW_TRUNCATED));
    CHECK(row->length >= 20 && row->length == (header[12] >> 4) * 4);
    CHECK(ends->sport == (header[0] << 8 | header[1]));
    CHECK(ends->dport == (header[2] << 8 | header[3]));
    CHECK(row->status == (header[13] & (FIN | SYN | RST | ACK)));
    CHECK(row->status & (FIN | SYN | RST));
    CHECK(row->cseq == (row->status & ACK ? seq - 1 : seq));
    CHECK(!row->from_tag && !row->to_tag);
}

static int is_same_or_unknown(uint64_t known, uint64_t whole) {
    return !known || known == whole;
}

/* The packet of a message, captured in part. */
static void check_cut(const setting *is, const uint8_t *frame, uint32_t caplen,
                      const aw_row *whole) {
    static aw_row rows[AW_ROWS_A_PACKET];
    static aw_ends ends[AW_ROWS_A_PACKET];
    aw_counts counts = {0};
    const uint32_t end = whole->payload + whole->length;
    const uint32_t short_of = (uint32_t)fuzz_pick(frame, caplen, end - whole->payload);
    const uint32_t caplen_of = whole->payload + short_of;
    const int n = rows_by(aw_packet_scan, is, fuzz_exact(frame, caplen_of, 1), caplen_of, whole->at,
                          rows, ends, &counts);
    for (int i = 0; i < n; i++) {
        const aw_row *cut = &rows[i];
        if (cut->payload != whole->payload || cut->kind != AW_KIND_CUT) continue;
        CHECK(cut->flow == whole->flow && cut->length <= short_of && counts.cut == 1);
        CHECK(is_same_or_unknown(cut->status, whole->status));
        CHECK(is_same_or_unknown(cut->method, whole->method));
        CHECK(is_same_or_unknown(cut->cseq, whole->cseq));
        CHECK(is_same_or_unknown(cut->call, whole->call));
        CHECK(is_same_or_unknown(cut->from_tag, whole->from_tag));
        CHECK(is_same_or_unknown(cut->to_tag, whole->to_tag));
        CHECK(is_same_or_unknown(cut->pair, whole->pair));
        CHECK(is_same_or_unknown(cut->txn, whole->txn));
    }
}

/* One packet, checked, appended to rows and ends. Returns how many. */
static int packet(const setting *is, const uint8_t *frame, uint32_t caplen, uint64_t at,
                  aw_row *rows, aw_ends *ends, aw_counts *counts) {
    static aw_row other[AW_ROWS_A_PACKET + 1];
    static aw_ends far[AW_ROWS_A_PACKET + 1];
    static const uint8_t poison[sizeof(aw_row)] = {0};
    aw_counts second = *counts;
    const uint8_t *input = fuzz_exact(frame, caplen, 0);
    const int n = rows_by(aw_packet_scan, is, input, caplen, at, rows, ends, counts);
    CHECK(n >= 0 && n <= AW_ROWS_A_PACKET);
    memset(other, 0, sizeof other);
    memset(far, 0, sizeof far);
    CHECK(rows_by(aw_packet_scan, is, fuzz_exact(frame, caplen, 1), caplen, at, other, far,
                  &second) == n);
    CHECK(memcmp(rows, other, (size_t)n * sizeof *rows) == 0);
    CHECK(memcmp(ends, far, (size_t)n * sizeof *ends) == 0);
    CHECK(memcmp(&other[n], poison, sizeof *other) == 0 &&
          memcmp(&far[n], poison, sizeof *far) == 0);
    CHECK(memcmp(counts, &second, sizeof second) == 0);
#ifdef REFERENCE
    CHECK(rows_by(ref_aw_packet_scan, is, input, caplen, at, other, far, &second) == n);
    CHECK(memcmp(rows, other, (size_t)n * sizeof *rows) == 0);
    CHECK(memcmp(ends, far, (size_t)n * sizeof *ends) == 0);
#endif
#ifdef COUNTED
    FUZZ_COST(rows_by(cost_aw_packet_scan, is, input, caplen, at, other, far, &second), caplen);
#endif
    size_t before = 0;
    for (int i = 0; i < n; i++) {
        const aw_row *row = &rows[i];
        CHECK(row->payload >= before && (size_t)row->payload + row->length <= caplen);
        before = (size_t)row->payload + row->length;
        CHECK(row->at == at && row->tap == 3 && !(row->bits & AW_ROW_FRAGMENTED) &&
              row->bits < 2 * AW_ROW_TIMER && row->flow);
        CHECK((row->kind >= AW_KIND_SIP && row->kind <= AW_KIND_CUT) ||
              row->kind == AW_KIND_CONNECT);
        CHECK(ends[i].frame == 0 && ends[i].caplen == caplen);
        CHECK(ends[i].version == 4 || ends[i].version == 6);
        CHECK(row->kind == AW_KIND_FRAGMENT || ends[i].proto == 17 || ends[i].proto == 6);
        CHECK(!(row->bits & AW_ROW_IPV6) == (ends[i].version == 4));
        CHECK(!is->outgoing || row->bits & AW_ROW_OUTGOING);
        if (row->kind == AW_KIND_SIP)
            check_sip_row(input + row->payload, row);
        else if (row->kind == AW_KIND_CUT)
            CHECK((row->bits & (AW_ROW_TRUNCATED | AW_ROW_MALFORMED)) == AW_ROW_TRUNCATED);
        else
            CHECK(!row->txn && !row->call && !row->pair && !row->method);
        if (row->kind == AW_KIND_CONNECT) {
            CHECK(n == 1);
            check_connect_row(input + row->payload, row, &ends[i]);
        }
    }
    if (n == 1 && rows->kind == AW_KIND_SIP) check_cut(is, frame, caplen, rows);
    return n;
}

static void check_counts(const aw_counts *counts, const aw_row *rows, int n, uint64_t packets) {
    uint64_t of[AW_KIND_CONNECT + 1] = {0}, malformed = 0;
    for (int i = 0; i < n; i++) {
        of[rows[i].kind]++;
        malformed += rows[i].kind == AW_KIND_SIP && rows[i].bits & AW_ROW_MALFORMED;
    }
    CHECK(counts->packets == packets);
    CHECK(counts->sip == of[AW_KIND_SIP] && counts->keepalive == of[AW_KIND_KEEPALIVE]);
    CHECK(counts->stun == of[AW_KIND_STUN] && counts->tls == of[AW_KIND_TLS]);
    CHECK(counts->icmp == of[AW_KIND_ICMP] && counts->fragments == of[AW_KIND_FRAGMENT]);
    CHECK(counts->cut == of[AW_KIND_CUT]);
    CHECK(counts->other >= of[AW_KIND_CONNECT]);
    CHECK(counts->segments == of[AW_KIND_SEGMENT] && counts->malformed == malformed);
    const uint64_t without = counts->other + counts->not_ip + counts->forged;
    CHECK(without + (uint64_t)n >= packets && without <= packets);
    CHECK(counts->truncated <= packets && counts->damaged <= packets);
}

/* The packets of the input one by one, then all as batches. */
static void check_batch(const setting *is, const uint8_t *p, size_t size, unsigned how) {
    static uint8_t buffer[FUZZ_ROOM];
    static uint32_t meta[PACKETS + 1][4];
    static aw_row rows[ROWS], batched[ROWS];
    static aw_ends ends[ROWS], beside[ROWS];
    aw_counts one = {0}, all = {0};
    uint32_t n = 0, used = 0;
    int found = 0, together = 0;

    for (size_t i = 0; size - i >= 2 && n < PACKETS; n++) {
        size_t length = (size_t)p[i] << 8 | p[i + 1];
        i += 2;
        if (length > size - i) length = size - i;
        const uint64_t at = (uint64_t)n * 1000000000u + 5000;
        meta[n][0] = n, meta[n][1] = 5, meta[n][2] = used, meta[n][3] = (uint32_t)length;
        const int here = packet(is, p + i, (uint32_t)length, at, rows + found, ends + found, &one);
        for (int k = found; k < found + here; k++) {
            rows[k].payload += used;
            ends[k].frame += used;
        }
        found += here;
        memcpy(buffer + used, p + i, length);
        used += (uint32_t)length;
        i += length;
    }
    check_counts(&one, rows, found, n);
    const uint32_t honest = n;
    if (how & LYING && size >= 10) {
        memcpy(&meta[n][2], p + 2, 8);
        meta[n][0] = meta[n][1] = 0;
        n++;
    }
    const uint8_t *input = fuzz_exact(buffer, used, 1);
    aw_packets packets = {.buf = input, .size = used, .meta = &meta[0][0], .count = n};
    while (packets.next < n) {
        const uint32_t was = packets.next, room = how & FEW_ROWS ? AW_ROWS_A_PACKET + 1 : 100;
        aw_row *behind = batched + together;
        CHECK(together + (int)room <= ROWS);
        memset(behind, 0x5a, room * sizeof *behind);
        aw_output out = {.rows = behind, .ends = beside + together, .room = room, .counts = &all};
        const int more = aw_batch_scan(&is->tap, &packets, &out);
        CHECK(more >= 0 && (uint32_t)more <= room && packets.next > was && packets.next <= n);
        for (int i = 0; i < more; i++)
            CHECK((size_t)behind[i].payload + behind[i].length <= used &&
                  (size_t)beside[together + i].frame + beside[together + i].caplen <= used);
        together += more;
    }
    CHECK(all.packets == n);
    if (n == honest) CHECK(together == found);
    CHECK(together >= found);
    if (is->outgoing) return; /* a batch has no direction of its own */
    CHECK(memcmp(rows, batched, (size_t)found * sizeof *rows) == 0);
    CHECK(memcmp(ends, beside, (size_t)found * sizeof *ends) == 0);
    if (n == honest) CHECK(memcmp(&one, &all, sizeof one) == 0);
}

/* A TCP segment from p[0..len); at most so many bytes that an IPv4 packet holds them. */
static uint32_t segment(uint8_t *out, const uint8_t *p, size_t len) {
    const size_t total = 40 + len;
    memcpy(out, "\x45\0\0\0\0\1\x40\0\100\6\0\0\xc0\xa8\1\12\xcb\0\x71\5", 20);
    out[2] = (uint8_t)(total >> 8), out[3] = (uint8_t)total;
    memcpy(out + 20, "\x13\xc4\x13\xc4\0\0\0\1\0\0\0\1\x50\x18\0\0\0\0\0\0", 20);
    if (len) memcpy(out + 40, p, len);
    return (uint32_t)total;
}

typedef struct {
    size_t at[2 * AW_ROWS_A_PACKET], length[2 * AW_ROWS_A_PACKET];
    uint64_t hashes[2 * AW_ROWS_A_PACKET];
    int n;
} messages;

/* The messages at the head of p[0..len), which begins at `from` of the connection. Returns the
 * bytes that they have. */
static size_t take(const setting *is, const uint8_t *p, size_t from, size_t len, messages *out) {
    static uint8_t frame[65536];
    static aw_row rows[AW_ROWS_A_PACKET];
    static aw_ends ends[AW_ROWS_A_PACKET];
    aw_counts counts = {0};
    size_t end = from;
    const uint32_t caplen = segment(frame, p + from, len - from);
    const int n = packet(is, frame, caplen, 1, rows, ends, &counts);
    for (int i = 0; i < n && rows[i].kind == AW_KIND_SIP; i++) {
        CHECK(from + rows[i].payload - 40 == end);
        out->at[out->n] = end;
        out->length[out->n] = rows[i].length;
        out->hashes[out->n] = rows[i].txn ^ rows[i].pair ^ rows[i].call ^ rows[i].cseq;
        out->n++;
        end += rows[i].length;
    }
    return end;
}

static void check_stream(const setting *is, const uint8_t *p, size_t size) {
    static messages whole, parts;
    if (!size || size > 65535 - 40) return;
    whole.n = parts.n = 0;
    take(is, p, 0, size, &whole);
    if (whole.n >= AW_ROWS_A_PACKET - 1) return; /* the rest was not looked at */
    const size_t cut = fuzz_pick(p, size, size);
    const size_t used = take(is, p, 0, cut, &parts);
    take(is, p, used, size, &parts);
    CHECK(parts.n == whole.n);
    for (int i = 0; i < whole.n; i++)
        CHECK(parts.at[i] == whole.at[i] && parts.length[i] == whole.length[i] &&
              parts.hashes[i] == whole.hashes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > FUZZ_ROOM) return -1;
    const unsigned how = data[1];
    setting is = {.tap = {.key = key,
                          .ports = ports,
                          .port_count = how & NO_PORTS ? 0 : 2,
                          .linktype = link_of(data[0]),
                          .tap = 3},
                  .outgoing = (how & OUTGOING) != 0};
    if (how & STREAM) {
        is.tap.linktype = AW_DLT_RAW;
        check_stream(&is, data + 2, size - 2);
    } else {
        check_batch(&is, data + 2, size - 2, how);
    }
    return 0;
}
