/* SPDX-License-Identifier: Apache-2.0 */
/* The plain way through a header field: see scan.h. */
#ifndef AW_PLAIN_FIELD_H
#define AW_PLAIN_FIELD_H

#include "field.h"
#include "runs.h"
#include "scan.h"

/* Where the parts of a header field are. */
typedef struct {
    enum field field;
    size_t value;
    size_t rest; /* what is left of a list, of which some values were read; else 0 */
    size_t end;  /* the CR behind it; 0: it was not, or not all, of the plain kind */
} place;

static inline size_t plain_cseq(const uint8_t *p, size_t i, size_t limit, aw_sip *s) {
    uint32_t value;
    if (s->cseq_value.off) return 0;
    const size_t digits_end = plain_number(p, i, limit, &value);
    if (!digits_end || p[digits_end] != ' ') return 0;
    const size_t method = digits_end + 1, end = plain(p, method, limit, P_TOKEN);
    if (end == method || !ends_line(p, end)) return 0;
    s->cseq_value = span(i, end);
    s->cseq_method = span(method, end);
    s->cseq[0] = (uint16_t)(value >> 16);
    s->cseq[1] = (uint16_t)value;
    return end;
}

/* A value of any text, for example Call-ID. */
static size_t plain_text(const uint8_t *p, size_t i, size_t limit, aw_span *kept) {
    if (kept->off) return 0;
    const size_t end = next_control(p, i, limit);
    if (!ends_line(p, end) || p[end - 1] == ' ') return 0;
    *kept = span(i, end);
    return end;
}

static inline size_t plain_single_number(const uint8_t *p, size_t i, size_t limit, uint32_t most,
                                         aw_span *kept, uint32_t *value) {
    if (kept->off) return 0;
    const size_t end = plain_number(p, i, limit, value);
    if (!end || *value > most || !ends_line(p, end)) return 0;
    *kept = span(i, end);
    return end;
}

static inline size_t plain_content_length(const uint8_t *p, size_t i, size_t limit, aw_sip *s) {
    uint32_t number;
    const size_t end = plain_single_number(p, i, limit, 999999999, &s->content_length_value,
                                           &number);
    if (!end) return 0;
    s->content_length[0] = (uint16_t)(number >> 16);
    s->content_length[1] = (uint16_t)number;
    return end;
}

static inline size_t plain_max_forwards(const uint8_t *p, size_t i, size_t limit, aw_sip *s) {
    uint32_t number;
    const size_t end = plain_single_number(p, i, limit, 255, &s->max_forwards_value, &number);
    if (end) s->max_forwards = (uint16_t)number;
    return end;
}

static inline size_t plain_any_number(const uint8_t *p, size_t i, size_t limit, aw_span *kept) {
    uint32_t number;
    return plain_single_number(p, i, limit, 999999999, kept, &number);
}

/* From, To: one value. */
static inline size_t plain_address(const uint8_t *p, size_t i, size_t limit, aw_addr *kept) {
    if (kept->all.off) return 0;
    i = aw_plain_addr(p, i, limit, kept);
    if (i && p[i] == '\r') return i;
    kept->all.off = 0; /* nothing was kept */
    return 0;
}

static inline size_t plain_addresses(const uint8_t *p, size_t i, size_t limit, aw_addr *list,
                                     uint16_t *count, unsigned most, size_t *rest) {
    while (*count < most) {
        const size_t end = aw_plain_addr(p, i, limit, &list[*count]);
        if (!end) break;
        ++*count;
        if (p[end] == '\r') return end;
        i = *rest = end + 1;
        while (p[i] == ' ') i++;
    }
    return 0;
}

static inline size_t plain_vias(const uint8_t *p, size_t i, size_t limit, aw_sip *s, size_t *rest) {
    while (s->vias < AW_VIAS) {
        const size_t end = aw_plain_via(p, i, limit, &s->via[s->vias]);
        if (!end) break;
        s->vias++;
        if (p[end] == '\r') return end;
        i = *rest = end + 1;
        while (p[i] == ' ') i++;
    }
    return 0;
}

/* Where the value begins of the field that is likely to be at i; 0 when it is another. */
static inline size_t value_of(const uint8_t *p, size_t i, enum field field, int compact) {
    const size_t length = compact ? 2 : name_length(p + i, field);
    if (!length) return 0;
    for (i += length; p[i] == ' ';) i++;
    return i;
}

/* The header field at i. p[known - 2] is a line feed, somewhere behind i, and 16 bytes are there,
 * or the second is a ':'. F_OTHER: nothing was read. */
static inline place plain_field(const uint8_t *p, size_t i, size_t known, aw_sip *s) {
    const int compact = p[i + 1] == ':';
    place at = {compact ? compact_field(p[i]) : likely_field(p[i], p[i + 1], p[i + 2]), 0, 0, 0};
/* The kinds of AW_FIELDS. */
#define PLAIN_VIAS()          plain_vias(p, at.value, known, s, &at.rest)
#define PLAIN_ADDRESS(member) plain_address(p, at.value, known, &s->member)
#define PLAIN_ADDRESSES(list, count, most)                                                         \
    plain_addresses(p, at.value, known, s->list, &s->count, most, &at.rest)
#define PLAIN_TEXT(member)   plain_text(p, at.value, known, &s->member)
#define PLAIN_NUMBER(member) plain_any_number(p, at.value, known, &s->member)
#define PLAIN_CSEQ()         plain_cseq(p, at.value, known, s)
#define PLAIN_LENGTH()       plain_content_length(p, at.value, known, s)
#define PLAIN_FORWARDS()     plain_max_forwards(p, at.value, known, s)
#define IS(id)               (at.field = F_##id, at.value = value_of(p, i, F_##id, compact))
#define READ(id, name, form, slot, kind)                                                           \
    case F_##id:                                                                                   \
        if (!IS(id)) goto other;                                                                   \
        at.end = PLAIN_##kind;                                                                     \
        break;
#define READ_OR_NEXT(id, name, form, slot, kind)                                                   \
    case F_##id:                                                                                   \
        if (IS(id)) {                                                                              \
            at.end = PLAIN_##kind;                                                                 \
            break;                                                                                 \
        }                                                                                          \
        __attribute__((fallthrough));
    switch (at.field) {
        AW_FIELDS(READ, READ_OR_NEXT)
    default: goto other;
    }
    return at;
other:
    at.field = F_OTHER;
    return at;
}
#endif
