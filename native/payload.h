/* SPDX-License-Identifier: Apache-2.0 */
/* Payload: what the bytes of a packet look like, before and beside the scan. For batch.c only. */
#ifndef AW_PAYLOAD_H
#define AW_PAYLOAD_H

#include <string.h>
#include "packet.h"
#include "scan.h"

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
    return length >= 3 && p[0] == 0x16 && p[1] == 0x03 && p[2] <= 4;
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

static int starts_like_sip(const uint8_t *p, size_t length, int code) {
    if (code != AW_PARTIAL && code != AW_TOO_LONG) return 0;
    if (memchr(p, '\n', length)) return 1; /* its start line was seen */
    return aw_may_become_sip(p, length) == 2;
}

#endif
