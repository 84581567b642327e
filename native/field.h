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

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FOUR(a, b, c, d)                                                                           \
    ((uint32_t)(d) << 24 | (uint32_t)(c) << 16 | (uint32_t)(b) << 8 | (uint32_t)(a))
#else
#define FOUR(a, b, c, d)                                                                           \
    ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))
#endif

/* The field whose name is at n, a ':' right behind it, and *length of both; F_OTHER for every
 * other line. Reads 16 bytes. A letter compares exactly with `| 0x20`, other bytes without. */
static enum field plain_field(const uint8_t *n, size_t *length) {
    static const uint8_t compact[32] = {
        ['v' & 31] = F_VIA,          ['f' & 31] = F_FROM,    ['t' & 31] = F_TO,
        ['i' & 31] = F_CALL_ID,      ['m' & 31] = F_CONTACT, ['l' & 31] = F_CONTENT_LENGTH,
        ['c' & 31] = F_CONTENT_TYPE,
    };
#define IS(size, name) (*length = (size), n[(size)-1] == ':' ? (name) : F_OTHER)
    switch (fold32(n)) {
    case FOUR('v', 'i', 'a', ':'): return IS(4, F_VIA);
    case FOUR('f', 'r', 'o', 'm'): return IS(5, F_FROM);
    case FOUR('c', 's', 'e', 'q'): return IS(5, F_CSEQ);
    case FOUR('c', 'a', 'l', 'l'):
        return n[4] == '-' && fold16(n + 5) == word16("id") ? IS(8, F_CALL_ID) : F_OTHER;
    case FOUR('c', 'o', 'n', 't'):
        if (STARTS(3, "tact")) return IS(8, F_CONTACT);
        if (!STARTS(3, "tent") || n[7] != '-') return F_OTHER;
        if (STARTS(8, "leng") && STARTS(10, "ngth")) return IS(15, F_CONTENT_LENGTH);
        return STARTS(8, "type") ? IS(13, F_CONTENT_TYPE) : F_OTHER;
    case FOUR('m', 'a', 'x', '-'):
        return n[3] == '-' && STARTS(4, "forw") && STARTS(8, "ards") ? IS(13, F_MAX_FORWARDS)
                                                                     : F_OTHER;
    case FOUR('u', 's', 'e', 'r'):
        return n[4] == '-' && STARTS(5, "agen") && (n[9] | 0x20) == 't' ? IS(11, F_USER_AGENT)
                                                                        : F_OTHER;
    case FOUR('r', 'e', 'c', 'o'):
        return fold16(n + 4) == word16("rd") && n[6] == '-' && STARTS(7, "rout") &&
                       (n[11] | 0x20) == 'e'
                   ? IS(13, F_RECORD_ROUTE)
                   : F_OTHER;
    case FOUR('r', 'o', 'u', 't'): return (n[4] | 0x20) == 'e' ? IS(6, F_ROUTE) : F_OTHER;
    case FOUR('p', 'a', 't', 'h'): return IS(5, F_PATH);
    case FOUR('e', 'x', 'p', 'i'): return STARTS(3, "ires") ? IS(8, F_EXPIRES) : F_OTHER;
    case FOUR('s', 'e', 'r', 'v'): return fold16(n + 4) == word16("er") ? IS(7, F_SERVER) : F_OTHER;
    default: break;
    }
    if (n[1] == ':' && (n[0] & 0xc0) == 0x40) {
        *length = 2;
        return (enum field)compact[n[0] & 31];
    }
    return n[2] == ':' && fold16(n) == word16("to") ? IS(3, F_TO) : F_OTHER;
#undef IS
}

#undef STARTS
#undef FOUR
#endif
