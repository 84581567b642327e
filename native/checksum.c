/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of IPv4 (RFC 791), UDP (RFC 768, RFC 8200 section 8.1) and TCP (RFC 9293). A sum of
 * 16-bit words in one's complement does not depend on the byte order (RFC 1071 section 2), so words
 * are read as this machine stores them. */
#include <string.h>
#include "packet.h"

enum { TCP = 6, UDP = 17, IPV4_HEADER = 20, IPV4_SUM_AT = 10, UDP_SUM_AT = 6, TCP_SUM_AT = 16 };

static uint16_t word(const uint8_t *p) {
    uint16_t value;
    memcpy(&value, p, sizeof value);
    return value;
}

static uint64_t added(uint64_t sum, const uint8_t *p, size_t length) {
    uint64_t odd = 0;
    uint32_t four;
    for (; length >= sizeof four; length -= sizeof four, p += sizeof four) {
        memcpy(&four, p, sizeof four);
        sum += four;
    }
    memcpy(&odd, p, length);
    /* At most three bytes are left. On a big-endian machine they stand in the upper half. */
    return sum + (odd >> 32) + (odd & 0xffffffffu);
}

static uint16_t folded(uint64_t sum) {
    sum = (sum >> 32) + (sum & 0xffffffffu);
    sum = (sum >> 32) + (sum & 0xffffffffu);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)sum;
}

static unsigned of_header(const uint8_t *ip) {
    if (!word(ip + IPV4_SUM_AT)) return SUM_NO_HEADER;
    return folded(added(0, ip, (size_t)(ip[0] & 15) * 4)) == 0xffff ? 0 : SUM_HEADER;
}

unsigned aw_wrong_sums(const uint8_t *p, const aw_frame *f) {
    const size_t length = (size_t)f->header + f->length, size = f->version == 4 ? 4 : 16;
    const unsigned header = f->version == 4 ? of_header(p + f->ip) : 0;
    if (!f->header) return header;
    const uint8_t *transport = p + f->payload - f->header;
    const uint16_t sum = word(transport + (f->proto == UDP ? UDP_SUM_AT : TCP_SUM_AT));
    if (!sum) return header | SUM_NONE;
    const uint8_t protocol[4] = {0, f->proto},
                  size_of[4] = {0, 0, (uint8_t)(length >> 8), (uint8_t)length};
    const uint64_t ends = added(added(added(0, f->src, size), f->dst, size), protocol, 4);
    const uint64_t pseudo = added(ends, size_of, 4);
    if (folded(added(pseudo, transport, length)) == 0xffff) return header;
    /* The length is left out where the card cuts a large segment into many. */
    if (sum == folded(pseudo) || (f->proto == TCP && sum == folded(ends)))
        return header | SUM_PARTIAL;
    return header | SUM_PAYLOAD;
}
