/* SPDX-License-Identifier: Apache-2.0 */
/* algwatch_live.h: declarations of the live capture, behind those of algwatch_native.h and by the
 * same rules. */

/* clang-format off */
/* ---- the live capture ring: TPACKET_V3 on an AF_PACKET socket ---- */

enum aw_ring_step { /* of aw_ring_open, in order */
    AW_STEP_LOOK_UP = 1, AW_STEP_SOCKET = 2, AW_STEP_FILTER = 3, /* SO_ATTACH_FILTER */
    AW_STEP_RING = 4,    /* the ring's memory, its mapping */
    AW_STEP_BIND = 5
};

typedef struct {
    int32_t fd, error;              /* error: errno of the last failure */
    uint32_t step;                  /* aw_ring_step at which open failed, or the last one */
    uint32_t ifindex, linktype;     /* linktype from the device's ARP type, known after LOOK_UP */
    uint32_t block_size, block_count, block; /* block: the next one to look at */
    uint32_t packet, packet_offset; /* where in that block the next call goes on */
    uint8_t *map;                   /* block_size * block_count bytes */
    uint64_t drops, freezes;        /* tp_drops, tp_freeze_q_cnt, added up */
    uint64_t losing;                /* blocks with TP_STATUS_LOSING */
} aw_ring;

/* Open, map, filter, bind. filter: n instructions of 8 bytes (struct sock_filter). timeout_ms:
 * when the kernel hands over a block that is not full. Returns 0 or an aw_error; on failure
 * nothing stays open. */
int aw_ring_open(aw_ring *ring, const char *ifname, uint32_t block_size, uint32_t block_count,
                 uint32_t timeout_ms, const uint8_t *filter, uint32_t instructions);

/* Scan what is ready, in place. A frame with a row is copied to frames, size bytes (at least
 * block_size), and its rows count from there; a block goes back to the kernel when all of it was
 * scanned. Stops when frames or rows are full, goes on there next time. Returns out->count (0:
 * nothing of what was ready gave a row), AW_AGAIN, AW_GONE or AW_FAILED. */
int aw_ring_read(aw_ring *ring, const aw_tap *tap, uint8_t *frames, uint32_t size, aw_output *out);
int aw_ring_stats(aw_ring *ring); /* adds to drops and freezes; 0 or AW_FAILED */
void aw_ring_close(aw_ring *ring);

/* ---- what the process may do afterwards ---- */

enum aw_users { AW_SAME_USER = 0xffffffff };

/* Become uid and gid without other groups (AW_SAME_USER: stay who we are), keep CAP_NET_RAW as far
 * as it is there and no other capability, and set no_new_privs. Only the calling
 * thread changes: call it before others are started. Returns 0 or an errno; then the process should end. */
int aw_privileges_drop(uint32_t uid, uint32_t gid);
/* clang-format on */
