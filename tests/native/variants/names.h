/* SPDX-License-Identifier: Apache-2.0 */
/* Gives the portable build of the scanner other names, so that it fits in one program with the
 * other: aw_sip_scan becomes portable_sip_scan. */
#define aw_class            portable_class
#define aw_plain            portable_plain
#define aw_quoted_end       portable_quoted_end
#define aw_next_comma       portable_next_comma
#define aw_scan_uri         portable_scan_uri
#define aw_scan_addr        portable_scan_addr
#define aw_scan_addrs       portable_scan_addrs
#define aw_scan_vias        portable_scan_vias
#define aw_plain_uri        portable_plain_uri
#define aw_plain_addr       portable_plain_addr
#define aw_plain_via        portable_plain_via
#define aw_plain_start_line portable_plain_start_line
#define aw_scan_start_line  portable_scan_start_line
#define aw_may_become_sip   portable_may_become_sip
#define aw_method_of        portable_method_of
#define aw_sip_scan         portable_sip_scan
#define aw_sdp_scan         portable_sdp_scan
