/* The plain way through a header field: see scan.h. For sip_scan.c. */
#ifndef AW_PLAIN_FIELD_H
#define AW_PLAIN_FIELD_H

#include "field.h"

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

/* The header field at i. p[known - 2] is a line feed, somewhere behind i, and 16 bytes are there, or
 * the second is a ':'. F_OTHER: nothing was read. */
static inline place plain_field(const uint8_t *p, size_t i, size_t known, aw_sip *s) {
    const int compact = p[i + 1] == ':';
    place at = {compact ? compact_field(p[i]) : likely_field(p + i), 0, 0, 0};
    uint32_t number;
#define IS(name) (at.field = (name), at.value = value_of(p, i, name, compact))
    switch (at.field) {
    case F_VIA:
        if (!IS(F_VIA)) goto other;
        at.end = plain_vias(p, at.value, known, s, &at.rest);
        break;
    case F_FROM:
        if (!IS(F_FROM)) goto other;
        at.end = plain_address(p, at.value, known, &s->from);
        break;
    case F_TO:
        if (!IS(F_TO)) goto other;
        at.end = plain_address(p, at.value, known, &s->to);
        break;
    case F_CALL_ID:
        if (!IS(F_CALL_ID)) goto other;
        at.end = plain_text(p, at.value, known, &s->call_id);
        break;
    case F_CSEQ:
        if (!IS(F_CSEQ)) goto other;
        at.end = plain_cseq(p, at.value, known, s);
        break;
    case F_CONTACT:
        if (IS(F_CONTACT)) {
            at.end = plain_addresses(p, at.value, known, s->contact, &s->contacts, AW_CONTACTS,
                                     &at.rest);
            break;
        }
        if (IS(F_CONTENT_TYPE)) goto content_type;
        /* fall through */
    case F_CONTENT_LENGTH:
        if (!IS(F_CONTENT_LENGTH)) goto other;
        at.end = plain_single_number(p, at.value, known, 999999999, &s->content_length_value,
                                     &number);
        if (!at.end) break;
        s->content_length[0] = (uint16_t)(number >> 16);
        s->content_length[1] = (uint16_t)number;
        break;
    case F_CONTENT_TYPE:
        if (!IS(F_CONTENT_TYPE)) goto other;
    content_type:
        at.end = plain_text(p, at.value, known, &s->content_type);
        break;
    case F_ROUTE:
        if (!IS(F_ROUTE)) goto other;
        at.end = plain_addresses(p, at.value, known, s->route, &s->routes, AW_ROUTES, &at.rest);
        break;
    case F_RECORD_ROUTE:
        if (!IS(F_RECORD_ROUTE)) goto other;
        at.end = plain_addresses(p, at.value, known, s->record_route, &s->record_routes,
                                 AW_RECORD_ROUTES, &at.rest);
        break;
    case F_PATH:
        if (!IS(F_PATH)) goto other;
        at.end = plain_addresses(p, at.value, known, s->path, &s->paths, AW_PATHS, &at.rest);
        break;
    case F_MAX_FORWARDS:
        if (!IS(F_MAX_FORWARDS)) goto other;
        at.end = plain_single_number(p, at.value, known, 255, &s->max_forwards_value, &number);
        if (at.end) s->max_forwards = (uint16_t)number;
        break;
    case F_EXPIRES:
        if (!IS(F_EXPIRES)) goto other;
        at.end = plain_single_number(p, at.value, known, 999999999, &s->expires, &number);
        break;
    case F_USER_AGENT:
        if (!IS(F_USER_AGENT)) goto other;
        at.end = plain_text(p, at.value, known, &s->user_agent);
        break;
    case F_SERVER:
        if (!IS(F_SERVER)) goto other;
        at.end = plain_text(p, at.value, known, &s->server);
        break;
    default: goto other;
    }
#undef IS
    return at;
other:
    at.field = F_OTHER;
    return at;
}
#endif
