/* SPDX-License-Identifier: Apache-2.0 */
/* Link types by number, one that is unknown among them: the first byte of an input chooses. */
#ifndef LINKS_H
#define LINKS_H

static inline uint32_t link_of(uint8_t chosen) {
    static const uint32_t types[] = {AW_DLT_EN10MB,       AW_DLT_RAW,   AW_DLT_LINUX_SLL,
                                     AW_DLT_LINUX_SLL2,   AW_DLT_PPP,   AW_DLT_NULL,
                                     AW_DLT_LOOP,         AW_DLT_IPV4,  AW_DLT_IPV6,
                                     AW_DLT_LINKTYPE_RAW, AW_DLT_NFLOG, 147 /* unknown */};
    return types[chosen % (sizeof types / sizeof *types)];
}
#endif
