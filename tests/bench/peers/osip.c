/* SPDX-License-Identifier: Apache-2.0 */
/* libosip2 (Debian: libosip2-dev). cc -O2 osip.c -losipparser2 */
#include <osipparser2/osip_parser.h>
#include <osipparser2/sdp_message.h>
#include "peer.h"

static void setup(void) {
    parser_init();
}

static uint64_t number(const char *text) {
    return text ? strtoul(text, NULL, 10) : 0;
}

static void read_via(osip_via_t *via, totals *t) {
    osip_generic_param_t *p = NULL;
    t->via++;
    t->viaport += number(via->port);
    osip_via_param_get_byname(via, (char *)"branch", &p);
    t->branch += p && p->gvalue;
    p = NULL;
    osip_via_param_get_byname(via, (char *)"received", &p);
    t->recv += p && p->gvalue;
    p = NULL;
    osip_via_param_get_byname(via, (char *)"rport", &p);
    t->rport += p != NULL;
}

static void read_sdp(const char *body, totals *t) {
    sdp_message_t *sdp;
    char *port;
    sdp_message_init(&sdp);
    if (sdp_message_parse(sdp, body) == 0) {
        t->sdp++;
        t->c += sdp_message_c_addr_get(sdp, -1, 0) != NULL;
        for (int i = 0; (port = sdp_message_m_port_get(sdp, i)) != NULL; i++) {
            t->m++;
            t->mport += number(port);
            t->c += sdp_message_c_addr_get(sdp, i, 0) != NULL;
        }
    }
    sdp_message_free(sdp);
}

static void pass(const record *records, size_t n, totals *t) {
    for (size_t i = 0; i < n; i++) {
        osip_message_t *sip;
        osip_list_iterator_t it;
        osip_generic_param_t *tag = NULL;
        osip_message_init(&sip);
        if (osip_message_parse(sip, records[i].at, records[i].length) != 0) {
            t->err++;
            osip_message_free(sip);
            continue;
        }
        t->ok++;
        t->callid += sip->call_id && sip->call_id->number;
        if (sip->cseq) t->cseq += number(sip->cseq->number);
        t->ftag += sip->from && osip_from_get_tag(sip->from, &tag) == 0 && tag && tag->gvalue;
        tag = NULL;
        t->ttag += sip->to && osip_to_get_tag(sip->to, &tag) == 0 && tag && tag->gvalue;
        for (osip_via_t *v = osip_list_get_first(&sip->vias, &it); osip_list_iterator_has_elem(it);
             v = osip_list_get_next(&it))
            read_via(v, t);
        for (osip_contact_t *c = osip_list_get_first(&sip->contacts, &it);
             osip_list_iterator_has_elem(it); c = osip_list_get_next(&it)) {
            t->contact++;
            if (c->url) t->cport += number(c->url->port);
        }
        osip_from_t *route = osip_list_get(&sip->record_routes, 0);
        if (!route) route = osip_list_get(&sip->routes, 0);
        t->rr += route != NULL;
        t->rr1 += route && route->url && route->url->host;
        if (sip->content_length) t->clen += number(sip->content_length->value);
        if (sip->content_type && sip->content_type->subtype &&
            strcasecmp(sip->content_type->subtype, "sdp") == 0) {
            osip_body_t *body = osip_list_get(&sip->bodies, 0);
            if (body && body->body) read_sdp(body->body, t);
        }
        osip_message_free(sip);
    }
}
