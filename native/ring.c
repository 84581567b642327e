/* SPDX-License-Identifier: Apache-2.0 */
/* The live capture ring: TPACKET_V3 on an AF_PACKET socket, scanned in the kernel's blocks; only
 * frames with a row are copied, once.
 *
 * Source: Linux Documentation/networking/packet_mmap.rst and net/packet/af_packet.c
 * (tpacket_rcv, prb_retire_rx_blk_timer_expired, packet_notifier).
 */
#include <errno.h>
#include <string.h>

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <net/if_arp.h>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "native.h"

#ifndef ARPHRD_RAWIP
#define ARPHRD_RAWIP 519 /* newer than the headers of some toolchains */
#endif

enum {
    NS = 1000000000,
    POINT_VLAN = 0x8000, /* of a capture point: interface 7 and VLAN 7 are two */
    /* sockaddr_ll follows the header at the next multiple of TPACKET_ALIGNMENT */
    FROM = (sizeof(struct tpacket3_hdr) + TPACKET_ALIGNMENT - 1) / TPACKET_ALIGNMENT *
           TPACKET_ALIGNMENT
};

static int failed(aw_ring *ring, int error) {
    /* ENETDOWN, ENXIO or ENODEV: the interface went away. */
    int gone = error == ENETDOWN || error == ENXIO || error == ENODEV;
    ring->error = error;
    return gone ? AW_GONE : AW_FAILED;
}

void aw_ring_close(aw_ring *ring) {
    if (ring->map != NULL) (void)munmap(ring->map, (size_t)ring->block_size * ring->block_count);
    if (ring->fd >= 0) (void)close(ring->fd);
    ring->map = NULL;
    ring->fd = -1;
}

/* Failure inside open: closes all that is open, and keeps the error from before close(). */
static int abandoned(aw_ring *ring, int error) {
    aw_ring_close(ring);
    return failed(ring, error);
}

/* The libpcap link type of an ARP hardware type, and the socket type that delivers it.
 * Everything without an Ethernet header is read with SOCK_DGRAM, which begins at the network
 * header: PPP drivers differ in the header that they put in front (libpcap cooks them all). */
static int link_of(int arphrd, uint32_t *linktype) {
    switch (arphrd) {
    case ARPHRD_ETHER:
    case ARPHRD_LOOPBACK: *linktype = AW_DLT_EN10MB; return SOCK_RAW;
    case ARPHRD_PPP:
    case ARPHRD_NONE:
    case ARPHRD_RAWIP:
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
    case ARPHRD_IPGRE:
#ifdef ARPHRD_IP6GRE
    case ARPHRD_IP6GRE:
#endif
        *linktype = AW_DLT_RAW;
        return SOCK_DGRAM;
    default: return -1;
    }
}

/* Interface index, link type and socket type by name. 0, or an errno. */
static int look_up(aw_ring *ring, const char *ifname, int *type) {
    struct ifreq request;
    size_t length = strlen(ifname);
    int fd, error = 0;

    if (length == 0 || length >= sizeof request.ifr_name) return ENODEV;
    memset(&request, 0, sizeof request);
    memcpy(request.ifr_name, ifname, length);
    /* Any socket serves these ioctls, and AF_INET needs no privilege. */
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    if (ioctl(fd, SIOCGIFINDEX, &request) != 0) {
        error = errno;
    } else {
        ring->ifindex = (uint32_t)request.ifr_ifindex;
        if (ioctl(fd, SIOCGIFHWADDR, &request) != 0) error = errno;
    }
    (void)close(fd);
    if (error != 0) return error;
    *type = link_of(request.ifr_hwaddr.sa_family, &ring->linktype);
    return *type < 0 ? EPFNOSUPPORT : 0;
}

int aw_ring_open(aw_ring *ring, const char *ifname, uint32_t block_size, uint32_t block_count,
                 uint32_t timeout_ms, const uint8_t *filter, uint32_t instructions) {
    struct tpacket_req3 request;
    struct sock_fprog program;
    struct sockaddr_ll address;
    int version = TPACKET_V3, one = 1, pending = 0, type = SOCK_RAW, error;
    socklen_t size = sizeof pending;
    void *map;

    memset(ring, 0, sizeof *ring);
    ring->fd = -1;
    if (filter == NULL || instructions == 0 || instructions > BPF_MAXINSNS || block_count == 0 ||
        block_size > UINT32_MAX / block_count)
        return failed(ring, EINVAL); /* rows hold 32-bit offsets into the map */
    ring->step = AW_STEP_LOOK_UP;
    error = look_up(ring, ifname, &type);
    if (error != 0) return failed(ring, error);

    /* Protocol 0: the socket receives nothing until bind() names one, so no unfiltered packet can
     * enter and nothing has to be drained. */
    ring->step = AW_STEP_SOCKET;
    ring->fd = socket(AF_PACKET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (ring->fd < 0) return abandoned(ring, errno);
    if (setsockopt(ring->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0)
        return abandoned(ring, errno);

    ring->step = AW_STEP_FILTER;
    program.len = (unsigned short)instructions;
    program.filter = (struct sock_filter *)(uintptr_t)filter; /* the kernel only reads it */
    if (setsockopt(ring->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0 ||
        setsockopt(ring->fd, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof one) != 0)
        return abandoned(ring, errno);

    ring->step = AW_STEP_RING;
    memset(&request, 0, sizeof request);
    request.tp_block_size = block_size;
    request.tp_block_nr = block_count;
    request.tp_frame_size = block_size; /* V3 packs frames by itself; only the product counts */
    request.tp_frame_nr = block_count;
    request.tp_retire_blk_tov = timeout_ms;
    if (setsockopt(ring->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0)
        return abandoned(ring, errno);
    map = mmap(NULL, (size_t)block_size * block_count, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
               0);
    if (map == MAP_FAILED) return abandoned(ring, errno);
    ring->map = map;
    ring->block_size = block_size;
    ring->block_count = block_count;

    ring->step = AW_STEP_BIND;
    memset(&address, 0, sizeof address);
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL); /* any other value never shows outgoing packets */
    address.sll_ifindex = (int)ring->ifindex;
    if (bind(ring->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return abandoned(ring, errno);
    /* An interface that is down binds, and leaves ENETDOWN behind; the kernel hooks the socket
     * up when the interface comes up (packet_notifier), so that is no failure. */
    if (getsockopt(ring->fd, SOL_SOCKET, SO_ERROR, &pending, &size) != 0)
        return abandoned(ring, errno);
    if (pending != 0 && pending != ENETDOWN) return abandoned(ring, pending);
    return 0;
}

/* No block is ready: is the interface still there? */
static int idle(aw_ring *ring) {
    struct sockaddr_ll address;
    socklen_t length = sizeof address;
    int pending = 0;
    socklen_t size = sizeof pending;

    if (getsockopt(ring->fd, SOL_SOCKET, SO_ERROR, &pending, &size) != 0)
        return failed(ring, errno);
    if (pending != 0) return failed(ring, pending);
    /* Deleting an interface that is already down sets no error, it only unbinds the socket. */
    memset(&address, 0, sizeof address);
    if (getsockname(ring->fd, (struct sockaddr *)&address, &length) != 0)
        return failed(ring, errno);
    if (address.sll_ifindex != (int)ring->ifindex) return failed(ring, ENODEV);
    return AW_AGAIN;
}

static struct tpacket_block_desc *current(const aw_ring *ring) {
    return (struct tpacket_block_desc *)(void *)(ring->map +
                                                 (size_t)ring->block * ring->block_size);
}

/* The kernel has checked the transport checksum of a received packet (CSUM_VALID), or another
 * machine's is still to be filled in: a bridge or a veth hands that on (CSUMNOTREADY). In a
 * packet that this machine sends, the card fills in the rest. */
static uint8_t checks_of(const struct tpacket3_hdr *header, const struct sockaddr_ll *from) {
    if (from->sll_pkttype == PACKET_OUTGOING) return AW_CHECK_SENT;
    if (header->tp_status & (TP_STATUS_CSUM_VALID | TP_STATUS_CSUMNOTREADY)) return AW_CHECK_HEADER;
    return AW_CHECK_WIRE;
}

/* One frame that the kernel described at `header`. A frame with rows is copied to frames + at, and
 * its rows point there, so the block can go back to the kernel before they are read. */
static int scan(const aw_ring *ring, const aw_tap *tap, const struct tpacket3_hdr *header,
                uint8_t *frames, uint32_t at, aw_output *out) {
    const struct sockaddr_ll *from =
        (const struct sockaddr_ll *)(const void *)((const uint8_t *)header + FROM);
    aw_packet packet = {.buf = (const uint8_t *)header + header->tp_mac,
                        .caplen = header->tp_snaplen,
                        .at = (uint64_t)header->tp_sec * NS + header->tp_nsec,
                        .point = (uint16_t)(ring->ifindex & (POINT_VLAN - 1)),
                        .outgoing = from->sll_pkttype == PACKET_OUTGOING,
                        .directed = 1,
                        .checks = checks_of(header, from),
                        .whole = header->tp_snaplen >= header->tp_len};
    const uint32_t first = out->count;
    uint32_t i;

    /* Addressed to another station and only seen because something made the interface
     * promiscuous: this router neither received nor sent it. Or to several at once: this router
     * does not send that on (RFC 1812 section 5.3.4). */
    if (from->sll_pkttype != PACKET_HOST && from->sll_pkttype != PACKET_OUTGOING) {
        out->counts->packets++;
        out->counts->other++;
        return 0;
    }
    if (header->tp_status & TP_STATUS_VLAN_VALID && (header->hv1.tp_vlan_tci & 0x0fff) != 0)
        packet.point = (uint16_t)((header->hv1.tp_vlan_tci & 0x0fff) | POINT_VLAN);
    if (aw_packet_scan(tap, &packet, out) == 0) return 0;
    memcpy(frames + at, packet.buf, packet.caplen);
    for (i = first; i < out->count; i++) {
        out->rows[i].payload += at;
        out->ends[i].frame += at;
    }
    return 1;
}

/* The block that was read to its end goes back to the kernel. */
static void release(aw_ring *ring, struct tpacket_block_desc *block) {
    /* Release: our reads are over before the kernel may write again. */
    __atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    ring->block = (ring->block + 1) % ring->block_count;
    ring->packet = 0;
    ring->packet_offset = 0;
}

int aw_ring_read(aw_ring *ring, const aw_tap *tap, uint8_t *frames, uint32_t size, aw_output *out) {
    aw_tap own = *tap;
    uint32_t used = 0, blocks;

    out->count = 0;
    own.linktype = ring->linktype;
    if (ring->fd < 0 || ring->map == NULL) return failed(ring, ENODEV);
    if (out->room < AW_ROWS_A_PACKET || size < ring->block_size)
        return failed(ring, EINVAL); /* a packet could need more room than there is */
    /* At most as many blocks as there are, or a flood of other packets would keep the loop here. */
    for (blocks = 0; blocks < ring->block_count; blocks++) {
        struct tpacket_block_desc *block = current(ring);
        /* Acquire: the kernel's writes before the handover of the block are visible after this. */
        uint32_t status = __atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE);
        if ((status & TP_STATUS_USER) == 0) break;
        if (ring->packet_offset == 0) { /* not begun yet */
            ring->packet_offset = block->hdr.bh1.offset_to_first_pkt;
            if (status & TP_STATUS_LOSING) ring->losing++;
        }
        for (; ring->packet < block->hdr.bh1.num_pkts; ring->packet++) {
            const struct tpacket3_hdr *header =
                (const struct tpacket3_hdr *)(const void *)((uint8_t *)block + ring->packet_offset);
            if (out->room - out->count < AW_ROWS_A_PACKET || header->tp_snaplen > size - used)
                return (int)out->count;
            if (scan(ring, &own, header, frames, used, out)) used += header->tp_snaplen;
            ring->packet_offset += header->tp_next_offset;
        }
        release(ring, block);
    }
    return blocks > 0 ? (int)out->count : idle(ring);
}

int aw_ring_stats(aw_ring *ring) {
    struct tpacket_stats_v3 stats;
    socklen_t size = sizeof stats;

    memset(&stats, 0, sizeof stats);
    if (ring->fd < 0) return 0; /* closed: the counters stay */
    if (getsockopt(ring->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0) {
        ring->error = errno;
        return AW_FAILED;
    }
    ring->drops += stats.tp_drops; /* reading resets the kernel's counters */
    ring->freezes += stats.tp_freeze_q_cnt;
    return 0;
}
