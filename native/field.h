/* SPDX-License-Identifier: Apache-2.0 */
/* Header fields (RFC 3261 section 7.3.1, compact forms: section 7.3.3): their names, and how each
 * is found. The one list below is all that a new one needs here: docs/native.md. */
#ifndef AW_FIELD_H
#define AW_FIELD_H

#include "chars.h"

/* The place of a name in the table of names, by its first three letters (a ':' where it has two).
 * Only the low five bits count, so case makes no difference. */
#define SLOT(a, b, c) (((a) + 8 * (b) + 4 * (c)) & 31)
enum { SLOTS = 32, NEXT = SLOTS };

/* FIELD(member of enum field, name, compact form or 0, slot, kind of value with where it is kept in
 * aw_sip). FIRST: as FIELD, and the next one, whose slot is NEXT, has the same first three letters.
 * The kinds are KEEP_... in sip_scan.c and PLAIN_... in plain_field.h. */
/* clang-format off */
#define AW_FIELDS(FIELD, FIRST)                                                                    \
    FIELD(VIA, "via", 'v', SLOT('v', 'i', 'a'), VIAS())                                            \
    FIELD(FROM, "from", 'f', SLOT('f', 'r', 'o'), ADDRESS(from))                                   \
    FIELD(TO, "to", 't', SLOT('t', 'o', ':'), ADDRESS(to))                                         \
    FIELD(CALL_ID, "call-id", 'i', SLOT('c', 'a', 'l'), TEXT(call_id))                             \
    FIELD(CSEQ, "cseq", 0, SLOT('c', 's', 'e'), CSEQ())                                            \
    FIRST(CONTACT, "contact", 'm', SLOT('c', 'o', 'n'), ADDRESSES(contact, contacts, AW_CONTACTS)) \
    FIRST(CONTENT_TYPE, "content-type", 'c', NEXT, TEXT(content_type))                             \
    FIELD(CONTENT_LENGTH, "content-length", 'l', NEXT, LENGTH())                                   \
    FIELD(ROUTE, "route", 0, SLOT('r', 'o', 'u'), ADDRESSES(route, routes, AW_ROUTES))             \
    FIELD(RECORD_ROUTE, "record-route", 0, SLOT('r', 'e', 'c'),                                    \
          ADDRESSES(record_route, record_routes, AW_RECORD_ROUTES))                                \
    FIELD(PATH, "path", 0, SLOT('p', 'a', 't'), ADDRESSES(path, paths, AW_PATHS))                  \
    FIELD(MAX_FORWARDS, "max-forwards", 0, SLOT('m', 'a', 'x'), FORWARDS())                        \
    FIELD(EXPIRES, "expires", 0, SLOT('e', 'x', 'p'), NUMBER(expires))                             \
    FIELD(USER_AGENT, "user-agent", 0, SLOT('u', 's', 'e'), TEXT(user_agent))                      \
    FIELD(SERVER, "server", 0, SLOT('s', 'e', 'r'), TEXT(server))                                  \
    FIELD(SESSION_EXPIRES, "session-expires", 'x', SLOT('s', 'e', 's'), TEXT(session_expires))
/* clang-format on */

#define MEMBER(id, name, compact, slot, kind) F_##id,
enum field { F_OTHER, AW_FIELDS(MEMBER, MEMBER) FIELDS };
#undef MEMBER

/* The only field whose name can be at n, by its first three letters; the first of several. One
 * jump, where a tree of compares has four that are mispredicted. */
static inline enum field likely_field(uint8_t a, uint8_t b, uint8_t c) {
/* Further fields of a slot stand behind those that are looked up. */
#define PLACE(id, name, compact, slot, kind) [(slot) == NEXT ? SLOTS + F_##id : (slot)] = F_##id,
    static const uint8_t slots[SLOTS + FIELDS] = {AW_FIELDS(PLACE, PLACE)};
#undef PLACE
    return (enum field)slots[SLOT(a, b, c)];
}

/* The field of a compact form. */
static inline enum field compact_field(uint8_t letter) {
#define PLACE(id, name, compact, slot, kind) [(compact) ? (compact)&31 : 32 + F_##id] = F_##id,
    static const uint8_t fields[32 + FIELDS] = {AW_FIELDS(PLACE, PLACE)};
#undef PLACE
    return letter >> 6 == 1 ? (enum field)fields[letter & 31] : F_OTHER;
}

/* Letters have the bit 0x40, and it is they that `| 0x20` may change. */
static inline __attribute__((always_inline)) int is_text4(const uint8_t *n, const char *text) {
    uint32_t x, same;
    memcpy(&x, n, 4);
    memcpy(&same, text, 4);
    return (x | (same >> 1 & 0x20202020u)) == same;
}
static inline __attribute__((always_inline)) int is_text8(const uint8_t *n, const char *text) {
    uint64_t x, same;
    memcpy(&x, n, 8);
    memcpy(&same, text, 8);
    return (x | (same >> 1 & UINT64_C(0x2020202020202020))) == same;
}

/* Is this name, of size bytes, at n, letters in any case? Constants both. */
static inline __attribute__((always_inline)) int is_name(const uint8_t *n, const char *name,
                                                         size_t size) {
    if (size > 12) return is_text8(n, name) && is_text8(n + size - 8, name + size - 8);
    if (size > 8) return is_text8(n, name) && is_text4(n + size - 4, name + size - 4);
    if (size == 8) return is_text8(n, name);
    if (size == 5 && name[4] == ':') return is_text4(n, name) && n[4] == ':';
    if (size > 4) return is_text4(n, name) && is_text4(n + size - 4, name + size - 4);
    if (size == 4) return is_text4(n, name);
    if (size == 3 && (n[2] | (name[2] >> 1 & 0x20)) != name[2]) return 0;
    return fold16(n) == word16(name);
}

/* The field of this name, which has token characters only. */
static enum field field_of(const uint8_t *n, size_t length) {
#define IS(id, name)                                                                               \
    case F_##id:                                                                                   \
        if (length == sizeof name - 1 && is_name(n, name, sizeof name - 1)) return F_##id;
#define ONE(id, name, compact, slot, kind)  IS(id, name) break;
#define MORE(id, name, compact, slot, kind) IS(id, name) __attribute__((fallthrough));
    if (length < 2) return compact_field(n[0]);
    switch (likely_field(n[0], n[1], length > 2 ? n[2] : ':')) {
        AW_FIELDS(ONE, MORE)
    default: break;
    }
    return F_OTHER;
#undef MORE
#undef ONE
#undef IS
}

/* The length of the field's name and its ':', if they are at n; else 0. Reads up to 16 bytes. */
static inline size_t name_length(const uint8_t *n, enum field field) {
#define LENGTH_OF(id, name, compact, slot, kind)                                                   \
    case F_##id: return is_name(n, name ":", sizeof name) ? sizeof name : 0;
    switch (field) { /* a constant */
        AW_FIELDS(LENGTH_OF, LENGTH_OF)
    default: return 0;
    }
#undef LENGTH_OF
}
#endif
