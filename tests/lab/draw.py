# SPDX-License-Identifier: Apache-2.0
"""Draw: everything that chance decides about one run, from one printed seed."""

from __future__ import annotations

import copy
import random
from ipaddress import IPv4Address, IPv4Network, IPv6Address

from .forms import PLAIN

DOCUMENTATION = [IPv4Network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
FIRST = ["anna", "ben", "carla", "eva", "frank", "gerda", "hugo", "ines", "jonas", "kim", "lena"]
LAST = ["arndt", "busch", "cramer", "ebert", "fuchs", "graf", "hahn", "jung", "keller", "moser"]


class Draw:
    """One set of addresses, ports, names and habits. The same seed draws the same set.

    lan, wan: IPv4Network of /24. phone_ip, router_ip, wan_ip, gateway_ip, provider_ip,
    caller_ip, media_ip: str. phone_port, contact_port, via_port, provider_port: UDP ports. proxy:
    the provider is a proxy (two Via, Record-Route) and not a session border controller.
    other_first: the other phone is called before the first one, not while that call is dying.
    bystanders: healthy phones beside the one that the scenario is about, at more_ips. far_ips:
    three hosts of the Internet. What habits.py draws is the usual here: forms of both ends, their
    display names, bare (a Contact without angle brackets), extra (further fields), delay (seconds
    on the way from the provider), crowd (phones of another provider, see crowd.py).
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = chance = random.Random(seed)
        self.lan = self._private(chance)
        self.router_ip = str(self.lan[1])
        self.phone_ip = str(self.lan[chance.randint(2, 254)])
        self.wan, elsewhere, other = chance.sample(DOCUMENTATION, 3)
        self.gateway_ip, self.wan_ip = (str(self.wan[n]) for n in chance.sample(range(1, 255), 2))
        far = chance.sample(range(1, 255), 2)
        self.provider_ip, self.media_ip = (str(elsewhere[n]) for n in far)
        self.caller_ip = str(other[chance.randint(1, 254)])
        ports = chance.sample(range(5100, 60000), 4)
        # Most phones sit on 5060; a drawn port must not make a difference.
        self.phone_port = chance.choice([5060, ports[0]])
        self.contact_port = ports[1]
        self.via_port = ports[2]
        self.caller_port = chance.choice([5060, ports[3]])
        self.rtp_port = 2 * chance.randint(5000, 30000)
        self.media_port = 2 * chance.randint(5000, 30000)
        self.user = f"{chance.choice(FIRST)}.{chance.choice(LAST)}{chance.randint(1, 99)}"
        self.peer = "+49" + "".join(chance.choices("0123456789", k=9))
        self.domain = chance.choice([f"sip{chance.randint(1, 99)}.example.net", self.provider_ip])
        self.proxy = chance.random() < 0.5
        self.dont_fragment = chance.random() < 0.5
        self.expires = chance.choice([60, 120, 600, 3600])
        self.ring = chance.uniform(0.2, 0.6)
        self.talk = chance.uniform(1.0, 2.0)
        self.cpe = f"cpe-{self.token(6)}"
        self.provider_port = 5060
        hosts = [str(self.lan[n]) for n in range(2, 255)]
        self.other_ip = chance.choice([ip for ip in hosts if ip != self.phone_ip])
        ports = chance.sample(range(60000, 65000), 3)
        self.other_port = chance.choice([5060, ports[0]])
        self.unhelped_port = chance.choice([5070, 5080, ports[1]])
        self.other_caller_port = ports[2]
        self.other_rtp_port = 2 * chance.randint(5000, 30000)
        self.other_user = f"{chance.choice(FIRST)}.{chance.choice(LAST)}{chance.randint(100, 199)}"
        self.other_first = chance.random() < 0.5
        self.bystanders = chance.choice([0, 0, 1, 2])
        spare = [ip for ip in hosts if ip not in (self.phone_ip, self.other_ip)]
        self.more_ips = chance.sample(spare, 2)
        self.far_ips = [str(other[n]) for n in chance.sample(range(1, 255), 4)]
        self.far_ips = [ip for ip in self.far_ips if ip != self.caller_ip][:3]
        self.more_users = [f"{chance.choice(FIRST)}{n}{chance.randint(10, 99)}" for n in (3, 4)]
        self.public_ip = self.public_gateway = ""  # outside of a carrier's NAT
        self.forms = self.provider_forms = PLAIN
        self.display = self.provider_display = ""
        self.bare = False
        self.extra: list[tuple[str, str]] = []
        self.delay = 0.0
        self.crowd = 0
        self.crowd_ips: list[str] = []
        self.crowd_provider, self.crowd_port = "", 5060
        self.more_ports = [
            chance.choice([5060, port]) for port in chance.sample(range(6000, 9999), 2)
        ]

    def of_other_phone(self) -> Draw:
        """The same draw for the other phone of the house: its own address, ports and name, and
        the provider's port that the router's helper does not watch."""
        other = copy.copy(self)
        other.phone_ip, other.phone_port = self.other_ip, self.other_port
        other.rtp_port, other.user = self.other_rtp_port, self.other_user
        other.provider_port = self.unhelped_port
        other.caller_port, other.media_port = self.other_caller_port, self.media_port + 2
        return other

    def of_ipv6(self) -> Draw:
        """The same draw with IPv6 addresses (RFC 3849), each made of its IPv4 address."""
        six = copy.copy(self)
        lan, wan = (f"2001:db8:{int(n[0]) & 0xFFFF:x}" for n in (self.lan, self.wan))
        for name in ("phone_ip", "router_ip", "wan_ip", "gateway_ip", "provider_ip", "caller_ip",
                     "media_ip"):  # fmt: skip
            old = int(IPv4Address(getattr(self, name)))
            net = {"phone_ip": lan + ":1", "router_ip": lan + ":1"}.get(name, "2001:db8:ffff:5")
            net = wan + ":2" if name in ("wan_ip", "gateway_ip") else net
            setattr(six, name, str(IPv6Address(f"{net}::{old >> 16:x}:{old & 0xFFFF:x}")))
        if self.domain == self.provider_ip:
            six.domain = "sip.example.net"
        return six

    def of_more(self, number: int) -> Draw:
        """The same draw for one more phone, 0 or 1, that uses the same provider and its port."""
        more = copy.copy(self)
        more.phone_ip, more.phone_port = self.more_ips[number], self.more_ports[number]
        more.rtp_port, more.user = self.rtp_port + 4 * (number + 1), self.more_users[number]
        return more

    @staticmethod
    def _private(chance: random.Random) -> IPv4Network:
        block = chance.choice(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])
        network = IPv4Network(block)
        step = chance.randrange(network.num_addresses // 256)
        return IPv4Network((int(network[0]) + 256 * step, 24))

    def token(self, length: int = 10) -> str:
        return "".join(self.random.choices("abcdefghjkmnpqrstuvwxyz23456789", k=length))

    def call_id(self, host: str) -> str:
        """A new Call-ID; half of them carry a host, as RFC 3261 section 8.1.1.4 recommends."""
        return self.token(16) + (f"@{host}" if self.random.random() < 0.5 else "")

    def addresses(self) -> set[str]:
        """Every address that a true verdict may name."""
        return {
            self.router_ip, self.phone_ip, self.other_ip, self.wan_ip, self.gateway_ip,
            self.provider_ip, self.caller_ip, self.media_ip, *self.more_ips, *self.far_ips,
        }  # fmt: skip


def is_private(host: str) -> bool:
    """RFC 1918 only: documentation addresses play the public Internet here."""
    try:
        address = IPv4Address(host)
    except ValueError:
        return False
    return any(address in IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
