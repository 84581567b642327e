/* SPDX-License-Identifier: Apache-2.0 */
/* Identity: keyed hashes of a flow, a transaction and a message. For batch.c only. */
#ifndef AW_IDENTITY_H
#define AW_IDENTITY_H

#include <string.h>
#include "packet.h"
#include "scan.h"

static uint64_t never_zero(uint64_t hash) {
    return hash ? hash : 1;
}

static uint32_t short_hash(uint64_t hash) {
    return (uint32_t)hash ? (uint32_t)hash : 1;
}

static uint64_t hash_span(const uint8_t key[16], const uint8_t *p, aw_span s) {
    return s.len ? never_zero(aw_hash(key, p + s.off, s.len)) : 0;
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

static int has_cookie(const uint8_t *p, aw_span branch) { /* RFC 3261 section 8.1.1.7 */
    static const char cookie[] = "z9hg4bk";
    if (branch.len <= 7) return 0; /* alone it identifies nothing: RFC 4475 section 3.2.1 */
    for (size_t i = 0; i < 7; i++)
        if ((p[branch.off + i] | 0x20) != (cookie[i] | 0x20)) return 0;
    return 1;
}

static void add_hashes(const uint8_t key[16], const uint8_t *p, const aw_sip *s, aw_row *row) {
    static const aw_via none;
    const aw_via *via = s->vias ? &s->via[0] : &none;
    const uint64_t branch = hash_span(key, p, via->branch);
    const uint64_t from_tag = hash_span(key, p, s->from.tag);
    const uint64_t to_tag = hash_span(key, p, s->to.tag);
    const uint64_t host = via->host.len ? aw_hash_folded(key, p + via->host.off, via->host.len) : 0;
    uint64_t method = s->method;
    if (method == AW_OTHER_METHOD) {
        const aw_span name = s->status ? s->cseq_method : s->method_name;
        method |= aw_hash(key, p + name.off, name.len) << 8;
    }
    const uint64_t port = via->port ? via->port : 5060;
    uint64_t words[6];

    row->call = hash_span(key, p, s->call_id);
    row->from_tag = from_tag ? short_hash(from_tag) : 0;
    row->to_tag = to_tag ? short_hash(to_tag) : 0;
    words[0] = branch;
    words[1] = host;
    words[2] = port << 32;
    words[3] = method == AW_ACK ? AW_INVITE : method;
    words[4] = row->call ^ row->cseq;
    words[5] = from_tag;
    row->txn = never_zero(aw_hash_words(key, words, row->bits & AW_ROW_COOKIE ? 4 : 6));
    words[1] = (uint64_t)row->cseq << 32 | row->status;
    words[2] = method;
    words[3] = from_tag;
    row->pair = never_zero(aw_hash_words(key, words, 4));
}

#endif
