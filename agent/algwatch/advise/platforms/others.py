# SPDX-License-Identifier: Apache-2.0
"""Systems with a SIP ALG algwatch does not switch itself: the lines to turn it off there.

None of them was run here. `seen` names their origin: "source" (code or a maker's manual), or
"hearsay" (a forum, memory): try these only if they can be taken back.
"""

from __future__ import annotations

from typing import NamedTuple

SOURCE, HEARSAY = "source", "hearsay"


class Other(NamedTuple):
    """name: for --platform. off, check, back: lines to type, or steps of a web page."""

    name: str
    title: str
    off: tuple[str, ...]
    check: tuple[str, ...]
    back: tuple[str, ...]
    seen: str
    note: str = ""


OTHERS = (
    Other("iptables", "Linux with iptables (no OpenWrt)",
          ("iptables-save -t raw | grep helper    (the rules that set it; ip6tables, too)",
           "iptables -t raw -D CHAIN ...    (the rule as printed, with -D in place of -A)",
           "sysctl -w net.netfilter.nf_conntrack_helper=0    (kernels before 6.0; all helpers)"),
          ("iptables-save -t raw | grep helper", "conntrack -L | grep helper=sip"),
          ("iptables -t raw -A CHAIN ...    (the rule as it was printed)",), SOURCE,
          "Change the file that the rules come from, too. Live flows keep the helper: conntrack -D "
          "-p udp --dport 5060, when no call is up."),
    Other("vyos", "VyOS",
          ("configure", "delete system conntrack modules sip", "commit", "save"),
          ("lsmod | grep sip", "sudo nft list table ip vyos_conntrack"),
          ("configure", "set system conntrack modules sip", "commit", "save"), SOURCE,
          "VyOS gives the helper to TCP and UDP ports 5060 and 5061."),
    Other("edgeos", "EdgeOS, UniFi USG",
          ("configure", "set system conntrack modules sip disable", "commit", "save"),
          ("lsmod | grep sip",),
          ("configure", "delete system conntrack modules sip disable", "commit", "save"), SOURCE,
          "A USG takes its settings from the controller: put them into config.gateway.json, or the "
          "next provisioning undoes them."),
    Other("unifi", "UniFi gateways",
          ("Settings: the switch for SIP among the conntrack modules (its page moved often)",),
          ("lsmod | grep sip    (over SSH)",), (), HEARSAY),
    Other("routeros", "MikroTik RouterOS",
          ("/ip firewall service-port set sip disabled=yes",),
          ("/ip firewall service-port print",),
          ("/ip firewall service-port set sip disabled=no",), SOURCE,
          "Live flows keep the helper: remove the phone's entries to port 5060 from "
          "/ip firewall connection, when no call is up."),
    Other("asuswrt", "Asuswrt, Asuswrt-Merlin",
          ("nvram get fw_pt_sip    (note the value)", "nvram set fw_pt_sip=0", "nvram commit",
           "service restart_firewall"),
          ("lsmod | grep sip",),
          ("nvram set fw_pt_sip=1", "nvram commit", "service restart_firewall"), SOURCE,
          "The same switch: WAN, NAT Passthrough, SIP Passthrough. Some builds know the value 2: "
          "put back the value that was there."),
    Other("freshtomato", "FreshTomato",
          ("nvram set nf_sip=0", "nvram commit", "service firewall restart"),
          ("lsmod | grep sip",),
          ("nvram set nf_sip=1", "nvram commit", "service firewall restart"), HEARSAY,
          "The same switch: Advanced, Conntrack/Netfilter, tracking helpers."),
    Other("padavan", "Padavan",
          ("nvram set nf_alg_sip=0", "nvram commit", "restart_firewall"),
          ("lsmod | grep sip",),
          ("nvram set nf_alg_sip=1", "nvram commit", "restart_firewall"), HEARSAY),
    Other("ddwrt", "DD-WRT",
          ("Administration, Commands, Save Startup: rmmod nf_nat_sip; rmmod nf_conntrack_sip",),
          ("lsmod | grep sip",),
          ("take the line out of the startup script and restart",), HEARSAY),
    Other("pfsense", "pfSense, OPNsense",
          ("pf has no SIP ALG: see that the package siproxd is not installed",),
          ("pfctl -ss | grep 5060",), (), SOURCE,
          "Trouble with SIP there is mostly the changed source port (set a static port for the "
          "phone in outbound NAT) or states that are left over after the WAN address changed."),
    Other("fritzbox", "FRITZ!Box",
          ("there is no switch; its own telephony takes port 5060",), (), (), HEARSAY,
          "Use another port than 5060 for the phone, or TLS."),
    Other("cisco-ios", "Cisco IOS, IOS XE",
          ("configure terminal", "no ip nat service sip udp port 5060",
           "no ip nat service sip tcp port 5060", "end", "write memory",
           "clear ip nat translation *    (ends every flow)"),
          ("show running-config | include service sip",),
          ("configure terminal", "ip nat service sip udp port 5060",
           "ip nat service sip tcp port 5060", "end", "write memory"), SOURCE),
    Other("cisco-asa", "Cisco ASA",
          ("policy-map global_policy", "class inspection_default", "no inspect sip"),
          ("show service-policy",),
          ("policy-map global_policy", "class inspection_default", "inspect sip"), SOURCE,
          "Flows that are up are inspected until they end."),
    Other("junos", "Juniper SRX",
          ("set security alg sip disable", "commit"),
          ("show security alg status",),
          ("delete security alg sip disable", "commit"), SOURCE),
    Other("fortios", "Fortinet FortiGate",
          ("config system settings", "set default-voip-alg-mode kernel-helper-based",
           "set sip-helper disable", "set sip-nat-trace disable", "end",
           "config system session-helper", "show    (find the number of the entry for sip)",
           "delete NUMBER", "end"),
          ("show system session-helper",),
          ("create the entry again, as `show` had printed it",), SOURCE,
          "A VoIP profile has a SIP switch of its own. Sessions that are up go on as before."),
    Other("sonicwall", "SonicWall",
          ("Network, VoIP: untick Enable SIP Transformations; leave Consistent NAT on",), (),
          ("tick it again",), SOURCE),
    Other("draytek", "DrayTek",
          ("sys sip_alg -e 0",), ("sys sip_alg ?",), ("sys sip_alg -e 1",), HEARSAY),
    Other("speedtouch", "SpeedTouch, Thomson, Technicolor",
          ("connection unbind application=SIP port=5060", "saveall"),
          ("connection bindlist",),
          ("connection bind application=SIP port=5060", "saveall"), HEARSAY),
    Other("opensync", "OpenSync (Plume)",
          ("Node_Config: module SIPALG, key sipalg, value off",), ("lsmod | grep sip",),
          ("value on",), HEARSAY, "Its script flushes every flow of the router."),
    Other("tr069", "A router with TR-069 or TR-369",
          ("GetParameterNames: a boolean whose path has both `alg` and `sip`, in any case",
           "note its value, set it to false, read it back"),
          ("algwatch probe, or a call seen on both sides",), ("set the value that was there",),
          SOURCE,
          "No standard parameter is known. Seen: InternetGatewayDevice.X_HW_ALG.SipEnable, "
          "InternetGatewayDevice.DeviceInfo.X_CT-COM_ALGAbility.*, "
          "InternetGatewayDevice.X_CU_Function.ALG.SIPEnable. Many routers need a restart."),
)  # fmt: skip
"""The table of docs/doctor.md names the same."""
