/* SPDX-License-Identifier: Apache-2.0 */
/* algwatch_native.h: everything that the C path and Python share; algwatch_live.h has the rest, of
 * live interfaces.
 *
 * Declarations only: C files include <stdint.h> and <stddef.h> first, and build_cffi.py hands
 * both texts to cdef() as they are. So: no #include, no macro with arguments, no include guard.
 *
 * Contract of every function: it allocates nothing, keeps nothing, and reads only inside the
 * buffers that it was given. Scanners return bytes consumed (> 0) or a code of aw_error.
 * A defect is an anomaly bit, never an error: for a diagnosis it is evidence.
 */

/* clang-format off */
enum aw_error { /* append-only */
    AW_NOT_SIP = -1,  /* does not begin like SIP (after leading CRLF, RFC 3261 section 7.5) */
    AW_PARTIAL = -2,  /* begins like SIP, but the end of the header section is not in the buffer */
    AW_TOO_LONG = -3, /* longer than 65535 bytes: a span could not hold it */
    AW_AGAIN = -4,    /* ring: no block is ready */
    AW_GONE = -5,     /* ring: the interface went down or away (ENETDOWN, ENXIO, ENODEV) */
    AW_FAILED = -6    /* ring: a system call failed, see aw_ring.error (errno) */
};

/* ---- spans: offset and length in bytes into the scanned buffer; {0, 0} means absent ---- */

typedef struct { uint16_t off, len; } aw_span;

enum aw_limits {
    AW_VIAS = 16, AW_CONTACTS = 8, AW_ROUTES = 12, AW_RECORD_ROUTES = 12, AW_PATHS = 4,
    AW_MEDIA = 8, AW_ANOMALIES = 32
};

enum aw_via_bits { AW_VIA_RPORT = 1 /* rport is there, with or without a value */ };

/* One Via value (RFC 3261 section 20.42). All members are uint16_t, so that Python reads the
 * whole result as one memoryview.cast("H"). */
typedef struct {
    aw_span all;       /* the header field value, without surrounding white space */
    aw_span transport; /* UDP, TCP, ... */
    aw_span host;      /* sent-by host; an IPv6 reference without its brackets */
    aw_span branch, received, rport, maddr; /* parameter values */
    uint16_t port;     /* sent-by port, 0 when absent or not 1..65535 */
    uint16_t rport_value; /* 0 when absent or without a value */
    uint16_t bits;     /* aw_via_bits */
} aw_via;

enum aw_addr_bits {
    AW_ADDR_STAR = 1,   /* Contact: * */
    AW_ADDR_ANGLE = 2,  /* <uri> form */
    AW_ADDR_LR = 4,     /* the URI has the lr parameter */
    AW_ADDR_SIPS = 8, AW_ADDR_TEL = 16, AW_ADDR_OTHER = 32 /* another scheme; plain sip: has none */
};

/* One name-addr or addr-spec (RFC 3261 section 20.10): Contact, From, To, Route, ... */
typedef struct {
    aw_span all;
    aw_span display;    /* display name, quotes included */
    aw_span uri;        /* the URI itself, without < > */
    aw_span user, host; /* host: an IPv6 reference without its brackets */
    aw_span uri_params; /* behind ';' inside the URI, up to '?' or '>' */
    aw_span params;     /* header parameters, behind the first ';' after the URI */
    aw_span tag;        /* From and To */
    aw_span expires;    /* Contact */
    uint16_t port;      /* 0 when absent or not 1..65535 */
    uint16_t bits;      /* aw_addr_bits */
} aw_addr;

enum aw_method { /* of a request; of a response the method in CSeq */
    AW_UNKNOWN = 0, AW_INVITE = 1, AW_ACK = 2, AW_BYE = 3, AW_CANCEL = 4, AW_REGISTER = 5,
    AW_OPTIONS = 6, AW_PRACK = 7, AW_UPDATE = 8, AW_INFO = 9, AW_MESSAGE = 10,
    AW_SUBSCRIBE = 11, AW_NOTIFY = 12, AW_REFER = 13, AW_PUBLISH = 14, AW_OTHER_METHOD = 15
};

enum aw_anomaly { /* bit numbers, append-only; anomaly_at[] has the offset of the first one */
    AW_BAD_START_LINE = 0,     AW_BAD_VERSION = 1,      AW_BAD_HEADER_LINE = 2,
    AW_BARE_LF = 3,            AW_BARE_CR = 4,          AW_NUL_BYTE = 5,
    AW_NO_HEADER_END = 6,      AW_LENGTH_SHORT = 7,     /* fewer body bytes than Content-Length */
    AW_LENGTH_LONG = 8,        /* more body bytes than Content-Length (UDP: ignored, 18.3) */
    AW_BAD_LENGTH = 9,         AW_BAD_CSEQ = 10,        AW_BAD_VIA = 11,
    AW_BAD_ADDR = 12,          AW_BAD_NUMBER = 13,      AW_MISSING_VIA = 14,
    AW_MISSING_FROM = 15,      AW_MISSING_TO = 16,      AW_MISSING_CALL_ID = 17,
    AW_MISSING_CSEQ = 18,      AW_DUPLICATE_SINGLE = 19, /* From, To, Call-ID, CSeq, ... twice */
    AW_METHOD_MISMATCH = 20,   /* CSeq method is not the request's */
    AW_UNTERMINATED_QUOTE = 21, AW_UNTERMINATED_ANGLE = 22, AW_CLIPPED = 23, /* more than fits */
    AW_LEADING_CRLF = 24,      AW_BAD_STATUS = 25
};

/* The whole scan result: uint16_t members only (one cast slice in Python). Lists are in order
 * of appearance, comma-separated values and repeated header fields alike. Entries of a list at
 * and past its count are not written. */
typedef struct {
    uint16_t anomalies[2];              /* bits 0..15, 16..31 */
    uint16_t anomaly_at[AW_ANOMALIES];  /* valid where the bit is set */
    uint16_t method;                    /* aw_method */
    uint16_t status;                    /* 0 = a request */
    uint16_t cseq[2];                   /* number, high and low half */
    uint16_t content_length[2];         /* high and low half; valid where its span is there */
    uint16_t max_forwards;              /* valid where its span is there */
    uint16_t header_end;                /* offset behind the empty line = start of the body */
    uint16_t vias, contacts, routes, record_routes, paths; /* counts, at most the limits above */
    aw_span method_name;                /* start line of a request */
    aw_span request_uri, request_user, request_host;
    uint16_t request_port;
    aw_span reason;                     /* reason phrase of a response */
    aw_span call_id, cseq_value, cseq_method, max_forwards_value, expires;
    aw_span content_type, content_length_value, user_agent, server, session_expires;
    aw_span body;                       /* what is there, whatever Content-Length says */
    aw_addr from, to;
    aw_via via[AW_VIAS];
    aw_addr contact[AW_CONTACTS];
    aw_addr route[AW_ROUTES];
    aw_addr record_route[AW_RECORD_ROUTES];
    aw_addr path[AW_PATHS];
} aw_sip;

/* Scan one message at p[0..len). Returns the bytes that belong to it: header section plus
 * Content-Length bytes where stream is non-zero (TCP), else all of len. */
int aw_sip_scan(const uint8_t *p, size_t len, int stream, aw_sip *out);

/* "sse2" or "portable": how both scanners were compiled. */
const char *aw_variant(void);

/* ---- SDP (RFC 8866) ---- */

enum aw_media_bits {
    AW_MEDIA_INACTIVE = 1, AW_MEDIA_CANDIDATE = 2, AW_MEDIA_SENDONLY = 4, AW_MEDIA_RECVONLY = 8
};

typedef struct {
    aw_span line;        /* the whole m= value */
    aw_span kind;        /* audio, video, ... */
    aw_span address;     /* c= of this medium, absent when only the session has one */
    aw_span rtcp;        /* a=rtcp value */
    uint16_t port, rtcp_port, candidates, bits;
} aw_media;

typedef struct {
    uint16_t anomalies;                  /* 1 bad line, 2 bad port, 4 clipped, 8 no v= */
    uint16_t media_count;
    uint16_t ice;                        /* a=ice-ufrag seen */
    uint16_t reserved;
    aw_span origin, origin_address;      /* o= value and its address */
    aw_span address;                     /* session c= address */
    aw_media media[AW_MEDIA];
} aw_sdp;

/* Scan a body; spans are relative to p. Returns len, or AW_NOT_SIP when nothing looks like SDP. */
int aw_sdp_scan(const uint8_t *p, size_t len, aw_sdp *out);

/* ---- frames: link layer to transport payload ---- */

enum aw_linktype { /* LINKTYPE_ / DLT_ values of libpcap that are read */
    AW_DLT_NULL = 0, AW_DLT_EN10MB = 1, AW_DLT_PPP = 9, AW_DLT_RAW = 12, AW_DLT_LINKTYPE_RAW = 101,
    AW_DLT_LOOP = 108, AW_DLT_LINUX_SLL = 113, AW_DLT_IPV4 = 228, AW_DLT_IPV6 = 229,
    AW_DLT_NFLOG = 239, AW_DLT_LINUX_SLL2 = 276
};

enum aw_frame_bits {
    AW_FRAME_FRAGMENT = 1,   /* an IP fragment: payload is what it carries; ports: of the first */
    AW_FRAME_TRUNCATED = 2,  /* the innermost length field says more than was captured */
    AW_FRAME_OUTGOING = 4,   /* SLL/SLL2/ring packet type 4 */
    AW_FRAME_VLAN = 8, AW_FRAME_PPPOE = 16, AW_FRAME_BAD = 32, AW_FRAME_TUNNEL = 64,
    AW_FRAME_DIRECTED = 128  /* the link layer says who sent it: OUTGOING is set or it came in */
};

typedef struct {
    uint32_t payload, length;  /* transport payload: offset and length in the frame, bytes */
    uint32_t ip;               /* offset of the innermost IP header */
    uint32_t ifindex;          /* SLL2 and ring; 0 when unknown */
    uint32_t seq;              /* TCP sequence number */
    uint16_t sport, dport, vlan, ip_id;
    uint8_t src[16], dst[16];  /* IPv4: the first 4 bytes, the rest 0 */
    uint8_t version, proto, ttl, bits, tcp_flags;
    uint8_t header;            /* bytes of the UDP or TCP header in front of the payload; 0: its
                                  checksum cannot be checked (a fragment, a route, no length) */
    uint8_t beyond;            /* 1: a length field says more than was captured, of any layer */
    uint8_t reserved;
} aw_frame;

/* Returns 1 for UDP or TCP, or a fragment of what may hold either (of a tunnel as well: proto 4,
 * 41, 47; IPv6 extension headers), 0 for anything else, never fails. */
int aw_frame_parse(const uint8_t *p, size_t caplen, uint32_t linktype, aw_frame *out);

/* ---- rows: what crosses the border, one for each message ---- */

enum aw_kind {
    AW_KIND_SIP = 1, AW_KIND_KEEPALIVE = 2, AW_KIND_STUN = 3, AW_KIND_TLS = 4,
    AW_KIND_ICMP = 5,     /* ICMP error that quotes a flow on a SIP port */
    AW_KIND_FRAGMENT = 6, /* for capture/reassembly.py */
    AW_KIND_SEGMENT = 7,  /* TCP bytes of a SIP flow that are not whole messages */
    AW_KIND_CUT = 8,      /* the captured part of a SIP message: evidence of its time and flow, no
                             more. Values outside its whole lines are 0 */
    AW_KIND_OVERLAP = 9,  /* TCP bytes that came again with other content, from
                             capture/reassembly.py; none where the stream broke off after them */
    AW_KIND_CONNECT = 10  /* a TCP packet of a SIP port without data, with FIN, SYN or RST: its header.
                             status has its flags, cseq of SYN and its answers the SYN's number */
};

enum aw_row_bits {
    AW_ROW_MALFORMED = 1, AW_ROW_TRUNCATED = 2, AW_ROW_OUTGOING = 4, AW_ROW_TCP = 8,
    AW_ROW_IPV6 = 16, AW_ROW_CLIPPED = 32, AW_ROW_SDP = 64, AW_ROW_CONTACT = 128,
    AW_ROW_COOKIE = 256 /* branch is z9hG4bK and more */, AW_ROW_TAGGED = 512 /* To has a tag */,
    AW_ROW_DIRECTED = 1024, /* it is known which way it went: OUTGOING, or else it came in */
    AW_ROW_DAMAGED = 2048,  /* of a file: a checksum is wrong, which offload may explain */
    AW_ROW_FRAGMENTED = 4096, /* it was put together of IP fragments (capture/reassembly.py) */
    AW_ROW_TIMER = 8192     /* there is a Session-Expires (RFC 4028) */
};

/* struct.Struct("=QQQQIIIIIHHHHBBBB"), 64 bytes */
typedef struct {
    uint64_t at;       /* ns since 1970 */
    uint64_t txn;      /* keyed hash of branch, sent-by host and port, method (of ACK: INVITE);
                          without the magic cookie: of Call-ID, From tag, CSeq, topmost Via
                          (RFC 3261 section 17.2.3) */
    uint64_t call;     /* keyed hash of Call-ID */
    uint64_t pair;     /* keyed hash of branch, CSeq, status (0 for a request), From tag */
    uint32_t flow;     /* keyed hash of protocol, source, destination, both ports (directional) */
    uint32_t from_tag, to_tag; /* keyed hashes, 0 = absent */
    uint32_t cseq;
    uint32_t payload;  /* offset of the message in the batch's buffer */
    uint16_t length, status, ip_id, bits;
    uint8_t kind, method, ttl, tap;
} aw_row;

/* Beside each row, read only when somebody asks. 48 bytes. */
typedef struct {
    uint8_t src[16], dst[16];  /* as in aw_frame */
    uint32_t frame, caplen;    /* the captured frame: offset in the buffer, length */
    uint16_t sport, dport;
    uint16_t point;            /* capture point: of a file the interface index (low 16 bits) or VLAN
                                  id; of the ring the index (low 15), or 0x8000 and the VLAN id */
    uint8_t proto, version;
} aw_ends;

typedef struct {
    uint64_t packets, sip, keepalive, stun, tls, icmp, fragments, segments, other, not_ip;
    uint64_t truncated, malformed; /* truncated: packets of any kind */
    uint64_t cut;                  /* rows of AW_KIND_CUT */
    uint64_t forged;               /* packets with SIP that nobody accepts or sends on: no rows */
    uint64_t damaged;              /* packets whose rows have AW_ROW_DAMAGED */
} aw_counts;

/* ---- RTP: counted by the media that SIP announced, never kept ---- */

enum aw_rtp_limits {
    AW_ANNOUNCED = 4096, /* announcements; the oldest goes */
    AW_STREAMS = 4,      /* of one announcement */
    AW_OF_A_CALL = 1024, /* heads of lists */
    AW_SHELF = 32768     /* bytes of session descriptions that wait */
};

/* RTP between an announced endpoint and one other, while the announcement was in force. */
typedef struct {
    uint64_t first, last;  /* ns since 1970; 0: the stream is free */
    uint64_t bytes;        /* of RTP with its headers, as far as it was captured */
    uint32_t packets;
    uint16_t port;         /* of the other end */
    uint8_t inwards;       /* to the announced endpoint; 0: from it */
    uint8_t reserved;
    uint8_t address[16];   /* of the other end, as in aw_frame */
} aw_stream;

enum aw_announced_bits {
    AW_ANNOUNCED_NAME = 1 /* a host name or no address */, AW_ANNOUNCED_ICE = 2,
    AW_ANNOUNCED_REQUEST = 4,
    AW_ANNOUNCED_LEARNED = 8 /* announced by nobody: RTP came from there to what sender announced */
};

/* One m=audio line of RTP in a session description, as one message carried it. */
typedef struct {
    uint64_t call;         /* as in aw_row */
    uint64_t at;           /* ns: the first message that said so */
    uint64_t ended;        /* ns: a BYE of the call on this tap; later RTP is not counted. 0: none */
    uint32_t sender;       /* keyed hash of the tag of who announced it, 0 = absent */
    uint32_t more;         /* packets of streams that had no room, or gave it up */
    uint16_t port;         /* 0: declined (RFC 3264 section 6) */
    uint16_t ways;         /* aw_media_bits of the direction, 0: sendrecv */
    uint16_t bits;         /* aw_announced_bits */
    uint16_t next, before; /* in the list of its port: index + 1, 0 = none */
    uint16_t later, earlier; /* in the list of its call */
    uint8_t version, tap;  /* version: of address; 0: it is a name */
    uint8_t index;         /* of the m= line */
    uint8_t linked;        /* it is in the list of its port */
    uint8_t address[16];   /* announced, as in aw_frame */
    uint8_t source[16];    /* of the message */
    aw_stream streams[AW_STREAMS];
} aw_announced;

/* Owned by the caller, all zero at first, shared by all taps of a run. */
typedef struct {
    uint64_t first[256];   /* by tap, ns: its first counted packet, 0 = none */
    uint32_t used, oldest; /* announcements that are there; the next to go when all are */
    uint32_t waiting;      /* bytes on the shelf */
    uint32_t forgotten;    /* session descriptions for which the shelf had no room */
    uint32_t room;         /* announcements that are kept at most; 0: AW_ANNOUNCED. Else no RTP
                            * comes here (a live tap), and a shelf that is full is read */
    uint16_t by_port[65536]; /* index + 1 of the latest announcement with that port */
    uint16_t by_call[AW_OF_A_CALL]; /* the same of a call, by its low bits */
    aw_announced announced[AW_ANNOUNCED];
    uint8_t shelf[AW_SHELF]; /* see rtp.c */
} aw_rtp;

/* Read the session descriptions that wait, before announced is looked at. Scanning does so by
 * itself when RTP comes: a capture without RTP never pays for them. */
void aw_rtp_settle(aw_rtp *rtp);

enum aw_batch_limits { AW_ROWS_A_PACKET = 32 }; /* so many must be free to take a packet */

/* How the packets of one tap are read. */
typedef struct {
    const uint8_t *key;    /* 16 bytes, of the hashes */
    const uint16_t *ports; /* SIP ports: for keep-alives, segments and ICMP */
    uint32_t port_count;
    uint32_t linktype;     /* not for a ring, which knows its own */
    uint8_t tap;           /* goes into every row */
    aw_rtp *rtp;           /* where RTP is counted; NULL: nowhere */
} aw_tap;

/* Where rows go. */
typedef struct {
    aw_row *rows;
    aw_ends *ends;         /* beside each row */
    uint32_t room, count;  /* rows that there is room for, rows that are there */
    aw_counts *counts;     /* added to */
} aw_output;

/* The parts of a packet that are checked. A packet of a file with a wrong checksum may be one that the
 * capturing machine had not yet finished (offload), or that was edited since: see AW_ROW_DAMAGED. */
enum aw_checks {
    AW_CHECK_FILE = 0,   /* lengths; wrong checksums are marked */
    AW_CHECK_WIRE = 1,   /* received by this machine: lengths and checksums */
    AW_CHECK_HEADER = 2, /* the same, and the kernel answers for the transport checksum */
    AW_CHECK_SENT = 3    /* sent by this machine: nothing */
};

/* One captured frame. */
typedef struct {
    const uint8_t *buf;
    uint32_t frame, caplen; /* offset in buf, length */
    uint64_t at;            /* ns since 1970 */
    uint16_t point;         /* capture point (aw_ends); 0: what the frame says */
    uint8_t outgoing;       /* this machine sent it */
    uint8_t directed;       /* that is known, either way */
    uint8_t checks;         /* aw_checks */
    uint8_t whole;          /* nothing of it was cut when it was captured */
} aw_packet;

/* Many of them. meta: count records of four uint32_t (seconds, microseconds, offset, caplen), as
 * pcapy-ng's next_batch() makes them. The upper two bits of caplen: AW_META_ bits of the direction,
 * where it is known. next: the packet that comes next. */
enum aw_meta_bits { AW_META_IN = 1, AW_META_OUT = 2, AW_META_SHIFT = 30 };
typedef struct {
    const uint8_t *buf;
    size_t size;
    const uint32_t *meta;
    uint32_t count, next;
} aw_packets;

/* Packets to rows, from rows[0] on. Starts at packets->next, stops when fewer than AW_ROWS_A_PACKET
 * rows are free and leaves next there; next == count means done. Returns out->count. */
int aw_batch_scan(const aw_tap *tap, aw_packets *packets, aw_output *out);

/* One frame to rows, behind those that are there; AW_ROWS_A_PACKET rows must be free. What a tunnel
 * carries gives rows of a file only. Returns how many came. Used by aw_batch_scan and the ring. */
int aw_packet_scan(const aw_tap *tap, const aw_packet *packet, aw_output *out);

/* SipHash-1-3 (Aumasson, Bernstein 2012) of p[0..len). */
uint64_t aw_hash(const uint8_t key[16], const uint8_t *p, size_t len);
/* clang-format on */
