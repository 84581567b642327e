/* SPDX-License-Identifier: Apache-2.0 */
/* PJSIP (not in Debian: docs/performance.md).
 * cc -O2 pjsip.c $(pkg-config --cflags --libs libpjproject) */
#include <pjlib.h>
#include <pjlib-util.h>
#include <pjmedia/sdp.h>
#include <pjsip.h>
#include "peer.h"

static pj_caching_pool pools;
static pj_pool_t *pool;

static void setup(void) {
    pjsip_endpoint *endpoint; /* registers the parsers of its header fields */
    pj_log_set_level(0);
    if (pj_init() != PJ_SUCCESS || pjlib_util_init() != PJ_SUCCESS) exit(1);
    pj_caching_pool_init(&pools, &pj_pool_factory_default_policy, 0);
    if (pjsip_endpt_create(&pools.factory, "bench", &endpoint) != PJ_SUCCESS) exit(1);
    pool = pj_pool_create(&pools.factory, "message", 64 << 10, 4 << 10, NULL);
    if (!pool) exit(1);
}

/* The SIP or SIPS URI in a URI or name-addr; NULL when it is of another scheme. */
static const pjsip_sip_uri *sip_uri(pjsip_uri *uri) {
    if (!uri || (!PJSIP_URI_SCHEME_IS_SIP(uri) && !PJSIP_URI_SCHEME_IS_SIPS(uri))) return NULL;
    return pjsip_uri_get_uri(uri);
}

static void read_via(const pjsip_via_hdr *via, totals *t) {
    t->via++;
    t->viaport += (uint64_t)via->sent_by.port;
    t->branch += via->branch_param.slen != 0;
    t->recv += via->recvd_param.slen != 0;
    t->rport += via->rport_param >= 0; /* 0: there, and empty */
}

static void read_contact(const pjsip_contact_hdr *contact, totals *t) {
    const pjsip_sip_uri *uri = sip_uri(contact->uri);
    t->contact++;
    if (uri) t->cport += (uint64_t)uri->port;
}

static void read_fields(const pjsip_msg *sip, totals *t) {
    const pjsip_hdr *end = &sip->hdr;
    for (const pjsip_hdr *field = end->next; field != end; field = field->next) {
        const void *at = field;
        switch (field->type) {
        case PJSIP_H_VIA: read_via(at, t); break;
        case PJSIP_H_CONTACT: read_contact(at, t); break;
        case PJSIP_H_FROM: t->ftag += ((const pjsip_from_hdr *)at)->tag.slen != 0; break;
        case PJSIP_H_TO: t->ttag += ((const pjsip_to_hdr *)at)->tag.slen != 0; break;
        case PJSIP_H_CALL_ID: t->callid += ((const pjsip_cid_hdr *)at)->id.slen != 0; break;
        case PJSIP_H_CSEQ: t->cseq += (uint64_t)((const pjsip_cseq_hdr *)at)->cseq; break;
        case PJSIP_H_CONTENT_LENGTH: t->clen += (uint64_t)((const pjsip_clen_hdr *)at)->len; break;
        default: break;
        }
    }
}

static void read_route(const pjsip_msg *sip, totals *t) {
    pjsip_routing_hdr *route = pjsip_msg_find_hdr(sip, PJSIP_H_RECORD_ROUTE, NULL);
    if (!route) route = pjsip_msg_find_hdr(sip, PJSIP_H_ROUTE, NULL);
    if (!route) return;
    const pjsip_sip_uri *uri = sip_uri((pjsip_uri *)&route->name_addr);
    t->rr++;
    t->rr1 += uri && uri->host.slen;
}

static void read_sdp(const pjsip_msg_body *body, totals *t) {
    pjmedia_sdp_session *sdp;
    if (pjmedia_sdp_parse(pool, body->data, body->len, &sdp) != PJ_SUCCESS) return;
    t->sdp++;
    t->c += sdp->conn != NULL;
    for (unsigned i = 0; i < sdp->media_count; i++) {
        t->m++;
        t->mport += sdp->media[i]->desc.port;
        t->c += sdp->media[i]->conn != NULL;
    }
}

static void pass(const record *records, size_t n, totals *t) {
    for (size_t i = 0; i < n; i++) {
        pj_pool_reset(pool);
        const pjsip_msg *sip = pjsip_parse_msg(pool, records[i].at, records[i].length, NULL);
        if (!sip) {
            t->err++;
            continue;
        }
        t->ok++;
        read_fields(sip, t);
        read_route(sip, t);
        if (sip->body && sip->body->len &&
            pj_stricmp2(&sip->body->content_type.subtype, "sdp") == 0)
            read_sdp(sip->body, t);
    }
}
