/* Header field names (RFC 3261 section 7.3.1, compact forms: section 7.3.3). For sip_scan.c. */
#ifndef AW_FIELD_H
#define AW_FIELD_H

#include "scan.h"

enum field {
    F_OTHER,
    F_VIA,
    F_FROM,
    F_TO,
    F_CALL_ID,
    F_CSEQ,
    F_CONTACT,
    F_ROUTE,
    F_RECORD_ROUTE,
    F_PATH,
    F_MAX_FORWARDS,
    F_EXPIRES,
    F_CONTENT_TYPE,
    F_CONTENT_LENGTH,
    F_USER_AGENT,
    F_SERVER
};

#define STARTS(at, text) (fold32(n + (at)) == word32(text))

/* Names by length: token characters only, so `| 0x20` compares without case exactly. */
static enum field field_of(const uint8_t *n, size_t length) {
    switch (length) {
    case 1:
        switch (n[0] | 0x20) {
        case 'v': return F_VIA;
        case 'f': return F_FROM;
        case 't': return F_TO;
        case 'i': return F_CALL_ID;
        case 'm': return F_CONTACT;
        case 'l': return F_CONTENT_LENGTH;
        case 'c': return F_CONTENT_TYPE;
        default: return F_OTHER;
        }
    case 2: return fold16(n) == word16("to") ? F_TO : F_OTHER;
    case 3: return fold16(n) == word16("vi") && (n[2] | 0x20) == 'a' ? F_VIA : F_OTHER;
    case 4:
        if (STARTS(0, "from")) return F_FROM;
        if (STARTS(0, "cseq")) return F_CSEQ;
        return STARTS(0, "path") ? F_PATH : F_OTHER;
    case 5: return STARTS(0, "rout") && (n[4] | 0x20) == 'e' ? F_ROUTE : F_OTHER;
    case 6: return STARTS(0, "serv") && fold16(n + 4) == word16("er") ? F_SERVER : F_OTHER;
    case 7:
        if (STARTS(0, "call") && STARTS(3, "l-id")) return F_CALL_ID;
        if (STARTS(0, "cont") && STARTS(3, "tact")) return F_CONTACT;
        return STARTS(0, "expi") && STARTS(3, "ires") ? F_EXPIRES : F_OTHER;
    case 10:
        return STARTS(0, "user") && STARTS(4, "-age") && STARTS(6, "gent") ? F_USER_AGENT : F_OTHER;
    case 12:
        if (STARTS(0, "reco") && STARTS(4, "rd-r") && STARTS(8, "oute")) return F_RECORD_ROUTE;
        if (STARTS(0, "max-") && STARTS(4, "forw") && STARTS(8, "ards")) return F_MAX_FORWARDS;
        return STARTS(0, "cont") && STARTS(4, "ent-") && STARTS(8, "type") ? F_CONTENT_TYPE
                                                                           : F_OTHER;
    case 14:
        return STARTS(0, "cont") && STARTS(4, "ent-") && STARTS(8, "leng") && STARTS(10, "ngth")
                   ? F_CONTENT_LENGTH
                   : F_OTHER;
    default: return F_OTHER;
    }
}

#undef STARTS

/* Is this text at n? letters: a blank for each letter of it, which compares without case. */
static inline int is_text4(const uint8_t *n, const char *text, const char *letters) {
    uint32_t x, same, bits;
    memcpy(&x, n, 4);
    memcpy(&same, text, 4);
    memcpy(&bits, letters, 4);
    return (x | bits) == same;
}
static inline int is_text8(const uint8_t *n, const char *text, const char *letters) {
    uint64_t x, same, bits;
    memcpy(&x, n, 8);
    memcpy(&same, text, 8);
    memcpy(&bits, letters, 8);
    return (x | bits) == same;
}

/* The length of the field's name and its ':', if they are at n; else 0. Reads up to 16 bytes. */
static inline size_t name_length(const uint8_t *n, enum field field) {
    switch (field) { /* a constant */
    case F_VIA: return is_text4(n, "via:", "   ") ? 4 : 0;
    case F_FROM: return is_text4(n, "from", "    ") && n[4] == ':' ? 5 : 0;
    case F_TO: return n[2] == ':' && fold16(n) == word16("to") ? 3 : 0;
    case F_CALL_ID: return is_text8(n, "call-id:", "    \0  ") ? 8 : 0;
    case F_CSEQ: return is_text4(n, "cseq", "    ") && n[4] == ':' ? 5 : 0;
    case F_CONTACT: return is_text8(n, "contact:", "       ") ? 8 : 0;
    case F_ROUTE: return is_text4(n, "rout", "    ") && is_text4(n + 2, "ute:", "   ") ? 6 : 0;
    case F_RECORD_ROUTE:
        return is_text8(n, "record-r", "      \0 ") && is_text8(n + 5, "d-route:", " \0     ") ? 13
                                                                                              : 0;
    case F_PATH: return is_text4(n, "path", "    ") && n[4] == ':' ? 5 : 0;
    case F_MAX_FORWARDS:
        return is_text8(n, "max-forw", "   \0    ") && is_text8(n + 5, "orwards:", "       ") ? 13
                                                                                              : 0;
    case F_EXPIRES: return is_text8(n, "expires:", "       ") ? 8 : 0;
    case F_CONTENT_TYPE:
        return is_text8(n, "content-", "       ") && is_text8(n + 5, "nt-type:", "  \0    ") ? 13
                                                                                             : 0;
    case F_CONTENT_LENGTH:
        return is_text8(n, "content-", "       ") && is_text8(n + 7, "-length:", "\0      ") ? 15
                                                                                             : 0;
    case F_USER_AGENT:
        return is_text8(n, "user-age", "    \0   ") && is_text4(n + 7, "ent:", "   ") ? 11 : 0;
    case F_SERVER: return is_text4(n, "serv", "    ") && is_text4(n + 3, "ver:", "   ") ? 7 : 0;
    default: return 0;
    }
}

/* The only field whose name can be at n, by its first three letters; F_CONTACT stands for all that
 * begin with "Con". One jump, where a tree of compares has four that nobody can foresee. */
static inline enum field likely_field(const uint8_t *n) {
/* Of the low five bits alone, so that case makes no difference. */
#define SLOT(a, b, c) (((a) + 8 * (b) + 4 * (c)) & 31)
    static const uint8_t slots[32] = {
        [SLOT('v', 'i', 'a')] = F_VIA,         [SLOT('f', 'r', 'o')] = F_FROM,
        [SLOT('t', 'o', ':')] = F_TO,          [SLOT('c', 'a', 'l')] = F_CALL_ID,
        [SLOT('c', 's', 'e')] = F_CSEQ,        [SLOT('c', 'o', 'n')] = F_CONTACT,
        [SLOT('r', 'o', 'u')] = F_ROUTE,       [SLOT('r', 'e', 'c')] = F_RECORD_ROUTE,
        [SLOT('p', 'a', 't')] = F_PATH,        [SLOT('m', 'a', 'x')] = F_MAX_FORWARDS,
        [SLOT('e', 'x', 'p')] = F_EXPIRES,     [SLOT('u', 's', 'e')] = F_USER_AGENT,
        [SLOT('s', 'e', 'r')] = F_SERVER,
    };
    return (enum field)slots[SLOT(n[0], n[1], n[2])];
#undef SLOT
}

/* The field of a compact form. */
static inline enum field compact_field(uint8_t letter) {
    static const uint8_t fields[32] = {
        ['v' & 31] = F_VIA,          ['f' & 31] = F_FROM,    ['t' & 31] = F_TO,
        ['i' & 31] = F_CALL_ID,      ['m' & 31] = F_CONTACT, ['l' & 31] = F_CONTENT_LENGTH,
        ['c' & 31] = F_CONTENT_TYPE,
    };
    return letter >> 6 == 1 ? (enum field)fields[letter & 31] : F_OTHER;
}
#endif
