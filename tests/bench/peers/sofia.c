/* SPDX-License-Identifier: Apache-2.0 */
/* sofia-sip (Debian: libsofia-sip-ua-dev).
 * cc -O2 $(pkg-config --cflags --libs sofia-sip-ua) sofia.c */
#include <sofia-sip/msg.h>
#include <sofia-sip/msg_addr.h>
#include <sofia-sip/sdp.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>
#include <sofia-sip/su.h>
#include <sofia-sip/su_alloc.h>
#include "peer.h"

static msg_mclass_t const *sip_class;

static void setup(void) {
    su_init();
    sip_class = sip_default_mclass();
}

static uint64_t number(const char *text) {
    return text ? strtoul(text, NULL, 10) : 0;
}

static void read_sdp(const sip_t *sip, totals *t) {
    sdp_parser_t *parser = sdp_parse(NULL, sip->sip_payload->pl_data, sip->sip_payload->pl_len,
                                     sdp_f_config);
    const sdp_session_t *session = sdp_session(parser);
    if (session) {
        t->sdp++;
        t->c += session->sdp_connection != NULL;
        for (const sdp_media_t *m = session->sdp_media; m; m = m->m_next) {
            t->m++;
            t->mport += m->m_port;
            t->c += m->m_connections != NULL;
        }
    }
    sdp_parser_free(parser);
}

static void read_message(const sip_t *sip, totals *t) {
    t->ok++;
    t->callid += sip->sip_call_id && sip->sip_call_id->i_id;
    if (sip->sip_cseq) t->cseq += sip->sip_cseq->cs_seq;
    t->ftag += sip->sip_from && sip->sip_from->a_tag;
    t->ttag += sip->sip_to && sip->sip_to->a_tag;
    for (const sip_via_t *v = sip->sip_via; v; v = v->v_next) {
        t->via++;
        t->viaport += number(v->v_port);
        t->branch += v->v_branch != NULL;
        t->recv += v->v_received != NULL;
        t->rport += v->v_rport != NULL;
    }
    for (const sip_contact_t *c = sip->sip_contact; c; c = c->m_next) {
        t->contact++;
        t->cport += number(c->m_url->url_port);
    }
    const sip_record_route_t *route = sip->sip_record_route;
    if (!route) route = (const sip_record_route_t *)sip->sip_route;
    t->rr += route != NULL;
    t->rr1 += route && route->r_url->url_host;
    if (sip->sip_content_length) t->clen += sip->sip_content_length->l_length;
    if (sip->sip_content_type && sip->sip_content_type->c_subtype && sip->sip_payload &&
        strcasecmp(sip->sip_content_type->c_subtype, "sdp") == 0)
        read_sdp(sip, t);
}

static void pass(const record *records, size_t n, totals *t) {
    for (size_t i = 0; i < n; i++) {
        msg_t *msg = msg_make(sip_class, 0, records[i].at, (ssize_t)records[i].length);
        const sip_t *sip = msg ? sip_object(msg) : NULL;
        if (!sip || (!sip->sip_request && !sip->sip_status) || sip->sip_error ||
            sip->sip_flags & MSG_FLG_ERROR)
            t->err++;
        else
            read_message(sip, t);
        if (msg) msg_destroy(msg);
    }
}
