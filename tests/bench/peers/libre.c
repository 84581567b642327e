/* SPDX-License-Identifier: Apache-2.0 */
/* libre (Debian: libre-dev). cc -O2 -I/usr/include/re libre.c -lre */
#include "peer.h"
#include <re.h> /* behind it: it takes uint8_t for granted */

static struct mbuf *buffer;
static struct sa local;

static void setup(void) {
    libre_init();
    buffer = mbuf_alloc(0);
    sa_set_str(&local, "127.0.0.1", 0);
}

static bool on_via(const struct sip_hdr *header, const struct sip_msg *msg, void *arg) {
    totals *t = arg;
    struct sip_via via;
    struct pl value;
    (void)msg;
    memset(&via, 0, sizeof via);
    if (sip_via_decode(&via, &header->val)) return false;
    t->via++;
    t->viaport += sa_port(&via.addr);
    t->branch += via.branch.l != 0;
    t->recv += !msg_param_decode(&via.params, "received", &value);
    t->rport += !msg_param_exists(&via.params, "rport", &value);
    return false;
}

static bool on_contact(const struct sip_hdr *header, const struct sip_msg *msg, void *arg) {
    totals *t = arg;
    struct sip_addr address;
    (void)msg;
    memset(&address, 0, sizeof address);
    t->contact++;
    if (!sip_addr_decode(&address, &header->val)) t->cport += address.uri.port;
    return false;
}

static bool on_route(const struct sip_hdr *header, const struct sip_msg *msg, void *arg) {
    totals *t = arg;
    struct sip_addr address;
    (void)msg;
    t->rr++;
    t->rr1 += !sip_addr_decode(&address, &header->val) && address.uri.host.l;
    return true;
}

static void read_sdp(totals *t) {
    struct sdp_session *session;
    if (sdp_session_alloc(&session, &local)) return;
    if (!sdp_decode(session, buffer, true)) {
        t->sdp++;
        for (struct le *le = list_head(sdp_session_medial(session, false)); le; le = le->next) {
            const struct sdp_media *media = le->data;
            t->m++;
            t->mport += sdp_media_rport(media);
            t->c += sa_isset(sdp_media_raddr(media), SA_ADDR); /* the session's where it has none */
        }
    }
    mem_deref(session);
}

static void pass(const record *records, size_t n, totals *t) {
    for (size_t i = 0; i < n; i++) {
        struct sip_msg *sip = NULL;
        buffer->buf = (uint8_t *)records[i].at;
        buffer->size = buffer->end = records[i].length;
        buffer->pos = 0;
        if (sip_msg_decode(&sip, buffer)) {
            t->err++;
            continue;
        }
        t->ok++;
        t->callid += sip->callid.l != 0;
        t->cseq += sip->cseq.num;
        t->ftag += sip->from.tag.l != 0;
        t->ttag += sip->to.tag.l != 0;
        sip_msg_hdr_apply(sip, true, SIP_HDR_VIA, on_via, t);
        sip_msg_hdr_apply(sip, true, SIP_HDR_CONTACT, on_contact, t);
        if (!sip_msg_hdr_apply(sip, true, SIP_HDR_RECORD_ROUTE, on_route, t))
            sip_msg_hdr_apply(sip, true, SIP_HDR_ROUTE, on_route, t);
        t->clen += pl_u32(&sip->clen);
        if (msg_ctype_cmp(&sip->ctyp, "application", "sdp")) read_sdp(t);
        mem_deref(sip);
    }
    buffer->buf = NULL; /* not ours to free */
    buffer->size = buffer->end = buffer->pos = 0;
}
