/* SPDX-License-Identifier: Apache-2.0 */
/* The scanner as this CPU runs it beside its portable variant: the same result, byte for byte, for
 * every message, every prefix of it, and damaged copies, in front of a page that cannot be read.
 * Usage: compare ROUNDS FILE... */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "algwatch_native.h"

enum { AREA = 1 << 17, MOST = 1 << 16, PAGE = 4096 };

int portable_sip_scan(const uint8_t *p, size_t len, int stream, aw_sip *out);
int portable_sdp_scan(const uint8_t *p, size_t len, aw_sdp *out);

static uint8_t *area; /* AREA bytes, then a page that cannot be read */
static uint64_t state = 88172645463325252u, compared;

static uint32_t any(uint32_t below) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16) % below;
}

static void fail(const char *what, const uint8_t *p, size_t len) {
    printf("the variants differ about %s, %zu bytes:\n", what, len);
    fwrite(p, 1, len, stdout);
    exit(1);
}

static void compare_sip(const uint8_t *p, size_t len, int stream) {
    static aw_sip own, other;
    const int pattern = (int)any(256);
    memset(&own, pattern, sizeof own);
    const int code = aw_sip_scan(p, len, stream, &own);
    memset(&other, pattern, sizeof other);
    compared++;
    if (portable_sip_scan(p, len, stream, &other) != code || memcmp(&own, &other, sizeof own) != 0)
        fail(stream ? "a stream" : "a datagram", p, len);
}

static void compare_sdp(const uint8_t *p, size_t len) {
    static aw_sdp own, other;
    const int pattern = (int)any(256);
    memset(&own, pattern, sizeof own);
    const int code = aw_sdp_scan(p, len, &own);
    memset(&other, pattern, sizeof other);
    if (portable_sdp_scan(p, len, &other) != code || memcmp(&own, &other, sizeof own) != 0)
        fail("a body", p, len);
}

static void compare(const uint8_t *message, size_t len) {
    uint8_t *p = area + AREA - len;
    memcpy(p, message, len);
    compare_sip(p, len, 0);
    compare_sip(p, len, 1);
    const uint8_t *empty = len ? memchr(p, 'v', len) : NULL; /* often the start of a body */
    const size_t from = empty ? (size_t)(empty - p) : 0;
    compare_sdp(p + from, len - from);
}

/* One to four places changed, by what delimits something somewhere. */
static size_t damage(uint8_t *p, size_t len) {
    static const char *const words[] = {
        "\r\n ",
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        ",",
        ";",
        "=",
        "\"",
        "\\",
        "<",
        ">",
        "@",
        ":",
        "?",
        "[",
        "]",
        "*",
        "+",
        "'",
        "!",
        "\x7f",
        "\x1f",
        "\xff",
        "\xc3\xa9",
        ";lr",
        ";tag=",
        ";rport=0",
        ";branch=",
        ";maddr=1",
        "sip:",
        "tel:",
        "Via:",
        "v: ",
        "Contact: ",
        "m:",
        "Route: ",
        "l:",
        "CSeq: ",
        "SIP/2.0/UDP ",
        "65536",
        "[::1]:5060",
        "\"a \\\" b\" ",
        "m=audio 1/2 RTP/AVP 0\r\n",
        "c=IN IP4 10.0.0.1/127\r\n",
        "a=rtcp:1\r\n",
        "o=- 1 1 IN IP6 ::1\r\n",
        "\r\n\r\n",
    };
    for (uint32_t n = 1 + any(4); n; n--) {
        const size_t at = any((uint32_t)len + 1);
        const char *word = words[any(sizeof words / sizeof *words)];
        const size_t size = strlen(word);
        switch (any(4)) {
        case 0:
            if (at < len) p[at] = (uint8_t)any(256);
            break;
        case 1:
            if (at + size <= len) memcpy(p + at, word, size);
            break;
        case 2:
            if (at + size > len) break;
            memmove(p + at, p + at + size, len - at - size);
            len -= size;
            break;
        default:
            if (len + size > MOST) break;
            memmove(p + at + size, p + at, len - at);
            memcpy(p + at, word, size);
            len += size;
        }
    }
    return len;
}

int main(int argc, char **argv) {
    static uint8_t message[MOST], copy[MOST];
    const int rounds = argc > 1 ? atoi(argv[1]) : 0;
    area = mmap(NULL, AREA + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED || mprotect(area + AREA, PAGE, PROT_NONE) != 0) return 2;
    for (int i = 2; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) return 2;
        const size_t len = fread(message, 1, MOST - 1, file);
        fclose(file);
        for (size_t prefix = 0; prefix <= len; prefix++) compare(message, prefix);
        for (int round = 0; round < rounds; round++) {
            memcpy(copy, message, len);
            compare(copy, damage(copy, len));
        }
    }
    printf("%llu scans compared\n", (unsigned long long)compared);
    return 0;
}
