/* SPDX-License-Identifier: Apache-2.0 */
/* Send frames as fast as the machine can, or at a rate: flood INTERFACE FRAMES RATE COUNT
 * FRAMES: a file of u32le length and bytes, sent round and round. RATE: frames a second, 0: no
 * limit. Prints "sent seconds". AF_PACKET with sendmmsg, past the queueing discipline.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 32 };
static const double PAUSE = 1e-3; /* seconds */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t load(const char *path, struct iovec **frames) {
    FILE *file = fopen(path, "rb");
    size_t n = 0, size;
    char *raw;
    if (!file) return 0;
    fseek(file, 0, SEEK_END);
    size = (size_t)ftell(file);
    rewind(file);
    raw = malloc(size);
    *frames = malloc(size / 4 * sizeof **frames);
    if (!raw || !*frames || fread(raw, 1, size, file) != size) return 0;
    fclose(file);
    for (size_t at = 0; at + 4 <= size; n++) {
        uint32_t length;
        memcpy(&length, raw + at, 4);
        (*frames)[n].iov_base = raw + at + 4;
        (*frames)[n].iov_len = length;
        at += 4 + (size_t)length;
    }
    return n;
}

int main(int argc, char **argv) {
    struct sockaddr_ll address = {.sll_family = AF_PACKET};
    struct mmsghdr messages[BATCH];
    struct iovec *frames;
    int one = 1;
    if (argc != 5) return fprintf(stderr, "usage: flood INTERFACE FRAMES RATE COUNT\n"), 2;
    const size_t n = load(argv[2], &frames);
    const double rate = atof(argv[3]);
    const uint64_t count = strtoull(argv[4], NULL, 10);
    const int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (!n || fd < 0) return perror(argv[2]), 1;
    address.sll_ifindex = (int)if_nametoindex(argv[1]);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0) return perror(argv[1]), 1;
    if (setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0) return 1;

    const double start = now();
    double due = start;
    uint64_t sent = 0;
    memset(messages, 0, sizeof messages);
    while (sent < count) {
        unsigned batch = count - sent < BATCH ? (unsigned)(count - sent) : BATCH;
        for (unsigned i = 0; i < batch; i++) {
            messages[i].msg_hdr.msg_iov = &frames[(sent + i) % n];
            messages[i].msg_hdr.msg_iovlen = 1;
        }
        const int done = sendmmsg(fd, messages, batch, 0);
        if (done > 0)
            sent += (uint64_t)done;
        else if (errno != ENOBUFS && errno != EAGAIN)
            return perror("sendmmsg"), 1;
        if (rate <= 0) continue;
        due += batch / rate;
        /* Packets that waited while others had the CPU are not sent as one burst. */
        if (now() - due > PAUSE) due = now();
        while (now() < due) continue;
    }
    printf("%llu %.6f\n", (unsigned long long)sent, now() - start);
    return 0;
}
