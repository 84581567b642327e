/* SPDX-License-Identifier: Apache-2.0 */
/* The capture ring against a kernel on paper: every system call can be made to fail, and blocks
 * are written as af_packet.c writes them. The behaviour of a real kernel is tested in tests/e2e.
 * The linker replaces the calls of ring.c (--wrap); what is not about this socket goes on to libc.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/socket.h>

#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "algwatch_native.h"
#include "algwatch_live.h"
#include "guard.h"

enum { SOCKET = 4711, INDEX = 7, BLOCK = 4096, BLOCKS = 2 };
enum call { C_NONE, C_SOCKET, C_IOCTL, C_SETSOCKOPT, C_GETSOCKOPT, C_MMAP, C_BIND, C_GETSOCKNAME };

static struct {
    enum call failing;
    int nth, error;     /* the nth one of these fails with error */
    int pending, index; /* what SO_ERROR and getsockname() say */
    unsigned short arphrd;
    unsigned sockets, maps; /* open now */
    uint32_t drops;
} kernel;
static _Alignas(4096) uint8_t ring_memory[BLOCK * BLOCKS];

static int fails(enum call call) {
    if (call != kernel.failing || --kernel.nth) return 0;
    errno = kernel.error;
    return 1;
}

int __real_close(int fd);
void *__real_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t length);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *size);
int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size);
void *__wrap_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t length);

int __wrap_socket(int domain, int type, int protocol) {
    if (fails(C_SOCKET)) return -1;
    CHECK(domain == AF_INET || domain == AF_PACKET);
    CHECK(type & SOCK_CLOEXEC && protocol == 0); /* nothing enters before bind() */
    kernel.sockets++;
    return SOCKET;
}

int __wrap_close(int fd) {
    if (fd != SOCKET) return __real_close(fd);
    CHECK(kernel.sockets > 0);
    kernel.sockets--;
    errno = EIO; /* must not become the reason that is told */
    return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...) {
    va_list more;
    va_start(more, request);
    struct ifreq *answer = va_arg(more, struct ifreq *);
    va_end(more);
    if (fails(C_IOCTL)) return -1;
    CHECK(fd == SOCKET && strcmp(answer->ifr_name, "wan") == 0);
    if (request == SIOCGIFINDEX)
        answer->ifr_ifindex = INDEX;
    else
        answer->ifr_hwaddr.sa_family = kernel.arphrd;
    return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    if (fails(C_SETSOCKOPT)) return -1;
    CHECK(fd == SOCKET && value != NULL && size >= sizeof(int));
    CHECK(level == SOL_PACKET || name == SO_ATTACH_FILTER || name == SO_LOCK_FILTER);
    return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size) {
    if (fails(C_GETSOCKOPT)) return -1;
    CHECK(fd == SOCKET);
    if (level == SOL_PACKET && name == PACKET_STATISTICS) {
        const struct tpacket_stats_v3 stats = {.tp_drops = kernel.drops, .tp_freeze_q_cnt = 1};
        CHECK(*size == sizeof stats);
        memcpy(value, &stats, sizeof stats);
        kernel.drops = 0;
    } else {
        CHECK(name == SO_ERROR);
        memcpy(value, &kernel.pending, sizeof kernel.pending);
    }
    return 0;
}

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *size) {
    const struct sockaddr_ll is = {.sll_family = AF_PACKET, .sll_ifindex = kernel.index};
    if (fails(C_GETSOCKNAME)) return -1;
    CHECK(fd == SOCKET && *size == sizeof is);
    memcpy(address, &is, sizeof is);
    return 0;
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t size) {
    struct sockaddr_ll to;
    if (fails(C_BIND)) return -1;
    CHECK(fd == SOCKET && size == sizeof to);
    memcpy(&to, address, sizeof to);
    CHECK(to.sll_ifindex == INDEX);
    return 0;
}

void *__wrap_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    if (fd != SOCKET) return __real_mmap(at, length, protection, flags, fd, offset);
    if (fails(C_MMAP)) return MAP_FAILED;
    CHECK(length == sizeof ring_memory);
    kernel.maps++;
    return ring_memory;
}

int __wrap_munmap(void *at, size_t length) {
    if (at != ring_memory) return __real_munmap(at, length);
    CHECK(length == sizeof ring_memory && kernel.maps > 0);
    kernel.maps--;
    return 0;
}

static const uint8_t accept_all[8] = {6};
static const uint8_t key[16] = "0123456789abcde";
static const uint16_t ports[] = {5060};
static aw_row rows[100];
static aw_ends ends[100];
static aw_counts counts;
static uint8_t out[2 * BLOCK];

static int open_ring(aw_ring *ring) {
    return aw_ring_open(ring, "wan", BLOCK, BLOCKS, 100, accept_all, 1);
}

static int read_ring(aw_ring *ring, uint32_t room, uint32_t max_rows) {
    memset(out, 0xee, sizeof out);
    const aw_tap tap = {.key = key, .ports = ports, .port_count = 1, .tap = 1};
    aw_output output = {.rows = rows, .ends = ends, .room = max_rows, .counts = &counts};
    return aw_ring_read(ring, &tap, out, room, &output);
}

static void reset(void) {
    memset(&kernel, 0, sizeof kernel);
    memset(ring_memory, 0, sizeof ring_memory);
    memset(&counts, 0, sizeof counts);
    kernel.arphrd = ARPHRD_ETHER;
    kernel.index = INDEX;
}

static void check_nothing_open(const aw_ring *ring) {
    CHECK(ring->fd == -1 && ring->map == NULL && !kernel.sockets && !kernel.maps);
}

/* ---- open ---- */

static void check_failing_open(void) {
    static const struct {
        enum call call;
        int nth, error, code;
        enum aw_ring_step step;
    } cases[] = {
        {C_SOCKET, 1, EMFILE, AW_FAILED, AW_STEP_LOOK_UP},
        {C_SOCKET, 2, EPERM, AW_FAILED, AW_STEP_SOCKET},
        {C_IOCTL, 1, ENODEV, AW_GONE, AW_STEP_LOOK_UP},
        {C_IOCTL, 2, ENODEV, AW_GONE, AW_STEP_LOOK_UP},
        {C_SETSOCKOPT, 1, EINVAL, AW_FAILED, AW_STEP_SOCKET},
        {C_SETSOCKOPT, 2, ENOMEM, AW_FAILED, AW_STEP_FILTER},
        {C_SETSOCKOPT, 3, EPERM, AW_FAILED, AW_STEP_FILTER},
        {C_SETSOCKOPT, 4, ENOMEM, AW_FAILED, AW_STEP_RING},
        {C_MMAP, 1, ENOMEM, AW_FAILED, AW_STEP_RING},
        {C_BIND, 1, ENODEV, AW_GONE, AW_STEP_BIND},
        {C_GETSOCKOPT, 1, ENOBUFS, AW_FAILED, AW_STEP_BIND},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aw_ring ring;
        reset();
        kernel.failing = cases[i].call;
        kernel.nth = cases[i].nth;
        kernel.error = cases[i].error;
        CHECK(open_ring(&ring) == cases[i].code);
        CHECK(ring.error == cases[i].error && ring.step == cases[i].step && kernel.nth == 0);
        check_nothing_open(&ring);
    }
}

static void check_refused_open(void) {
    static const char long_name[] = "a-name-that-no-interface-can-have";
    aw_ring ring;
    reset();
    CHECK(aw_ring_open(&ring, "wan", BLOCK, BLOCKS, 1, NULL, 1) == AW_FAILED);
    CHECK(aw_ring_open(&ring, "wan", BLOCK, BLOCKS, 1, accept_all, 0) == AW_FAILED);
    CHECK(aw_ring_open(&ring, "wan", BLOCK, BLOCKS, 1, accept_all, BPF_MAXINSNS + 1) == AW_FAILED);
    CHECK(aw_ring_open(&ring, "wan", BLOCK, 0, 1, accept_all, 1) == AW_FAILED);
    CHECK(aw_ring_open(&ring, "wan", 1u << 31, 2, 1, accept_all, 1) == AW_FAILED);
    CHECK(ring.error == EINVAL);
    CHECK(aw_ring_open(&ring, "", BLOCK, BLOCKS, 1, accept_all, 1) == AW_GONE);
    CHECK(aw_ring_open(&ring, long_name, BLOCK, BLOCKS, 1, accept_all, 1) == AW_GONE);
    check_nothing_open(&ring);
    kernel.pending = ENOMEM;
    CHECK(open_ring(&ring) == AW_FAILED && ring.error == ENOMEM);
    check_nothing_open(&ring);
    kernel.pending = ENETDOWN; /* it will come up */
    CHECK(open_ring(&ring) == 0);
    aw_ring_close(&ring);
    check_nothing_open(&ring);
    aw_ring_close(&ring);
    check_nothing_open(&ring);
}

static void check_devices(void) {
    static const struct {
        unsigned short arphrd;
        int code;
        uint32_t linktype;
    } cases[] = {
        {ARPHRD_ETHER, 0, AW_DLT_EN10MB}, {ARPHRD_LOOPBACK, 0, AW_DLT_EN10MB},
        {ARPHRD_PPP, 0, AW_DLT_RAW},      {ARPHRD_NONE, 0, AW_DLT_RAW},
        {ARPHRD_SIT, 0, AW_DLT_RAW},      {ARPHRD_IEEE80211_RADIOTAP, AW_FAILED, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aw_ring ring;
        reset();
        kernel.arphrd = cases[i].arphrd;
        CHECK(open_ring(&ring) == cases[i].code && ring.linktype == cases[i].linktype);
        if (cases[i].code) {
            CHECK(ring.error == EPFNOSUPPORT);
        } else {
            CHECK(ring.ifindex == INDEX);
            aw_ring_close(&ring);
        }
        check_nothing_open(&ring);
    }
}

/* ---- read ---- */

static void check_idle(void) {
    static const struct {
        enum call failing;
        int error, pending, index, code;
    } cases[] = {
        {C_NONE, 0, 0, INDEX, AW_AGAIN},
        {C_NONE, 0, ENETDOWN, INDEX, AW_GONE},
        {C_NONE, 0, EIO, INDEX, AW_FAILED},
        {C_NONE, 0, 0, -1, AW_GONE}, /* deleted while it was down: only unbound */
        {C_GETSOCKOPT, EBADF, 0, INDEX, AW_FAILED},
        {C_GETSOCKNAME, ENXIO, 0, INDEX, AW_GONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aw_ring ring;
        reset();
        CHECK(open_ring(&ring) == 0);
        kernel.failing = cases[i].failing;
        kernel.nth = 1;
        kernel.error = cases[i].error;
        kernel.pending = cases[i].pending;
        kernel.index = cases[i].index;
        CHECK(read_ring(&ring, BLOCK, 100) == cases[i].code);
        CHECK(ring.block == 0);
        aw_ring_close(&ring);
    }
}

static struct tpacket_block_desc *block(unsigned number) {
    return (struct tpacket_block_desc *)(void *)(ring_memory + number * BLOCK);
}

#define ALIGNED(n) (((n) + 15u) & ~15u) /* TPACKET_ALIGN, which mixes signs */
enum { FIRST = 64, SOCKADDR_AT = ALIGNED(sizeof(struct tpacket3_hdr)), MAC_AT = 96 };
static const char frame[] = "\2\0\0\0\0\1\2\0\0\0\0\2\x08\0"
                            "\x45\0\0\63\0\1\x40\0\100\21\x3d\1\xc0\xa8\1\12\xcb\0\x71\5"
                            "\x13\xc4\x13\xc4\0\37\0\0"
                            "BYE a SIP/2.0\r\nl:1\r\n\r\nx";

/* Writes one packet at `at`, of length bytes on the wire the first caplen (with what stands behind
 * the frame); returns where the next one goes. */
static uint32_t put_cut(unsigned number, uint32_t at, uint8_t type, uint32_t vlan, uint32_t caplen,
                        uint32_t length) {
    const uint32_t size = ALIGNED(MAC_AT + caplen + 1);
    struct tpacket3_hdr header = {
        .tp_next_offset = size,
        .tp_sec = 2200000000u, /* 2039: more than a signed 32-bit time holds */
        .tp_nsec = at,
        .tp_snaplen = caplen,
        .tp_len = length,
        .tp_mac = MAC_AT};
    const struct sockaddr_ll from = {.sll_family = AF_PACKET, .sll_pkttype = type};
    uint8_t *p = ring_memory + number * BLOCK + at;
    if (vlan) header.tp_status = TP_STATUS_VLAN_VALID;
    header.hv1.tp_vlan_tci = vlan;
    memcpy(p, &header, sizeof header);
    memcpy(p + SOCKADDR_AT, &from, sizeof from);
    memcpy(p + MAC_AT, frame, sizeof frame);
    return at + size;
}

static uint32_t put_long(unsigned number, uint32_t at, uint8_t type, uint32_t vlan,
                         uint32_t caplen) {
    return put_cut(number, at, type, vlan, caplen, caplen);
}

static uint32_t put(unsigned number, uint32_t at, uint8_t type, uint32_t vlan) {
    return put_long(number, at, type, vlan, sizeof frame - 1);
}

static void hand_over(unsigned number, uint32_t packets, uint32_t bits) {
    block(number)->hdr.bh1.num_pkts = packets;
    block(number)->hdr.bh1.offset_to_first_pkt = FIRST;
    block(number)->hdr.bh1.block_status = TP_STATUS_USER | bits;
}

static int is_with_kernel(unsigned number) {
    return block(number)->hdr.bh1.block_status == TP_STATUS_KERNEL;
}

/* As many equal frames as were asked for, handed over. */
static void fill(unsigned number, uint32_t packets, uint8_t type) {
    uint32_t at = FIRST;
    for (uint32_t i = 0; i < packets; i++) at = put(number, at, type, 0);
    hand_over(number, packets, 0);
}

static void check_packets(void) {
    aw_ring ring;
    reset();
    CHECK(open_ring(&ring) == 0);
    uint32_t at = put(0, FIRST, PACKET_HOST, 0);
    at = put(0, at, PACKET_OUTGOING, 0);
    at = put(0, at, PACKET_OTHERHOST, 0);
    at = put(0, at, PACKET_BROADCAST, 0);
    at = put(0, at, PACKET_MULTICAST, 0);
    at = put(0, at, PACKET_HOST, 0xe000 | 20); /* priority and VLAN 20 */
    put(0, at, PACKET_HOST, 0x2000);           /* a priority tag names no VLAN */
    hand_over(0, 7, TP_STATUS_LOSING);
    CHECK(read_ring(&ring, BLOCK, AW_ROWS_A_PACKET - 1) == AW_FAILED && ring.error == EINVAL);
    CHECK(read_ring(&ring, BLOCK - 1, 100) == AW_FAILED && ring.error == EINVAL);

    CHECK(read_ring(&ring, BLOCK, 100) == 4);
    CHECK(counts.packets == 7 && counts.sip == 4 && counts.other == 3 && ring.losing == 1);
    CHECK(is_with_kernel(0) && ring.block == 1);
    memset(ring_memory, 0xdd, BLOCK); /* whose memory it is again */
    for (int i = 0; i < 4; i++) {
        CHECK(rows[i].kind == AW_KIND_SIP && rows[i].length == 23 && rows[i].tap == 1);
        CHECK(memcmp(out + rows[i].payload, "BYE a", 5) == 0);
        CHECK(memcmp(out + ends[i].frame, frame, sizeof frame - 1) == 0);
        CHECK(ends[i].frame == (uint32_t)i * (sizeof frame - 1)); /* one behind the other */
        CHECK(!(rows[i].bits & AW_ROW_OUTGOING) == (i != 1) && rows[i].bits & AW_ROW_DIRECTED);
        CHECK(ends[i].point == (i == 2 ? 0x8000 | 20 : INDEX));
    }
    CHECK(out[4 * (sizeof frame - 1)] == 0xee); /* and nothing behind the last */
    CHECK(rows[0].at == 2200000000ull * 1000000000 + FIRST);
    CHECK(read_ring(&ring, BLOCK, 100) == AW_AGAIN);
    aw_ring_close(&ring);
    CHECK(read_ring(&ring, BLOCK, 100) == AW_GONE);
}

/* A frame that did not fit: as much of it is there as tp_snaplen says, not tp_len. */
static void check_cut(void) {
    enum { CAPLEN = 60 };
    aw_ring ring;
    reset();
    CHECK(open_ring(&ring) == 0);
    for (unsigned number = 0; number < BLOCKS; number++) {
        put_cut(number, FIRST, PACKET_HOST, 0, CAPLEN, 4000);
        hand_over(number, 1, 0);
    }
    CHECK(read_ring(&ring, BLOCK, 100) == 2 && is_with_kernel(0) && is_with_kernel(1));
    CHECK(counts.packets == 2 && counts.truncated == 2 && counts.cut == 2 && !counts.malformed);
    for (uint32_t i = 0; i < 2; i++) {
        CHECK(rows[i].kind == AW_KIND_CUT && rows[i].length == CAPLEN - 42);
        CHECK(rows[i].bits & AW_ROW_TRUNCATED);
        CHECK(ends[i].frame == i * CAPLEN && ends[i].caplen == CAPLEN);
        CHECK(memcmp(out + ends[i].frame, frame, CAPLEN) == 0);
    }
    CHECK(out[2 * CAPLEN] == 0xee);
    aw_ring_close(&ring);
}

/* A packet that no stack accepts gives no row, where the kernel does not answer for it. */
static void check_forged(void) {
    static const struct {
        uint8_t type;
        uint32_t status;
        int sum, rows; /* of UDP, wrong; rows that it gives */
    } cases[] = {
        {PACKET_HOST, 0, 1, 0},
        {PACKET_HOST, TP_STATUS_CSUM_VALID, 1, 1},
        {PACKET_HOST, TP_STATUS_CSUMNOTREADY, 1, 1}, /* over a bridge or a veth */
        {PACKET_OUTGOING, TP_STATUS_CSUMNOTREADY, 1, 1},
        {PACKET_OUTGOING, 0, 1, 1},
        {PACKET_HOST, 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aw_ring ring;
        reset();
        CHECK(open_ring(&ring) == 0);
        put(0, FIRST, cases[i].type, 0);
        uint8_t *packet = ring_memory + FIRST;
        memcpy(packet + offsetof(struct tpacket3_hdr, tp_status), &cases[i].status, 4);
        if (cases[i].sum) memcpy(packet + MAC_AT + 14 + 20 + 6, "\x12\x34", 2);
        hand_over(0, 1, 0);
        CHECK(read_ring(&ring, BLOCK, 100) == cases[i].rows);
        CHECK((int)counts.forged == !cases[i].rows && counts.packets == 1);
        aw_ring_close(&ring);
    }
    /* The frame ends before its IP packet does, and nothing was cut: not captured by half, but
     * refused by every stack. */
    aw_ring ring;
    reset();
    CHECK(open_ring(&ring) == 0);
    put_long(0, FIRST, PACKET_HOST, 0, 60);
    hand_over(0, 1, 0);
    CHECK(read_ring(&ring, BLOCK, 100) == 0 && counts.forged == 1 && !counts.cut);
    aw_ring_close(&ring);
}

/* A frame that does not fit at once stays where it is, and so does its block. */
static void check_room(void) {
    aw_ring ring;
    reset();
    CHECK(open_ring(&ring) == 0);
    fill(0, 3, PACKET_HOST);
    fill(1, 12, PACKET_HOST);
    block(1)->hdr.bh1.block_status |= TP_STATUS_LOSING;
    CHECK(read_ring(&ring, BLOCK, AW_ROWS_A_PACKET + 2) == 3); /* full where a block ends */
    CHECK(is_with_kernel(0) && !is_with_kernel(1));
    int found = 0;
    for (int turn = 0; turn < 3; turn++) {
        const int n = read_ring(&ring, BLOCK, AW_ROWS_A_PACKET + 4);
        CHECK(n == (turn < 2 ? 5 : 2));
        found += n;
        CHECK(rows[0].payload < sizeof frame && is_with_kernel(1) == (turn == 2));
    }
    CHECK(found == 12 && ring.losing == 1 && counts.sip == 15);

    /* Rows enough, but no memory: two of these fit, and two are in each block. */
    for (unsigned number = 0; number < BLOCKS; number++) {
        put_long(number, put_long(number, FIRST, PACKET_HOST, 0, 1900), PACKET_HOST, 0, 1900);
        hand_over(number, 2, 0);
    }
    CHECK(read_ring(&ring, BLOCK, 100) == 2 && is_with_kernel(0) && !is_with_kernel(1));
    CHECK(ends[1].frame == 1900 && ends[1].caplen == 1900);
    CHECK(read_ring(&ring, BLOCK, 100) == 2 && is_with_kernel(1));

    for (unsigned number = 0; number < BLOCKS; number++) fill(number, 20, PACKET_HOST);
    CHECK(read_ring(&ring, BLOCK, 100) == 40); /* both blocks in one call */
    CHECK(is_with_kernel(0) && is_with_kernel(1) && ring.block == 0);
    aw_ring_close(&ring);
}

/* A flood of what gives no row takes no memory, and no more than one round. */
static void check_noise(void) {
    aw_ring ring;
    reset();
    CHECK(open_ring(&ring) == 0);
    fill(0, 20, PACKET_OTHERHOST);
    fill(1, 20, PACKET_OTHERHOST);
    CHECK(read_ring(&ring, BLOCK, 100) == 0 && out[0] == 0xee);
    CHECK(counts.packets == 40 && counts.other == 40 && is_with_kernel(0) && is_with_kernel(1));
    CHECK(read_ring(&ring, BLOCK, 100) == AW_AGAIN);
    aw_ring_close(&ring);
}

static void check_stats(void) {
    aw_ring ring;
    reset();
    CHECK(open_ring(&ring) == 0);
    kernel.drops = 3;
    CHECK(aw_ring_stats(&ring) == 0 && ring.drops == 3 && ring.freezes == 1);
    CHECK(aw_ring_stats(&ring) == 0 && ring.drops == 3 && ring.freezes == 2);
    kernel.failing = C_GETSOCKOPT;
    kernel.nth = 1;
    kernel.error = EBADF;
    CHECK(aw_ring_stats(&ring) == AW_FAILED && ring.error == EBADF);
    aw_ring_close(&ring);
    CHECK(aw_ring_stats(&ring) == 0 && ring.drops == 3);
}

void check_ring(void) {
    check_failing_open();
    check_refused_open();
    check_devices();
    check_idle();
    check_packets();
    check_cut();
    check_forged();
    check_room();
    check_noise();
    check_stats();
}
