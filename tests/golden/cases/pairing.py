"""Golden cases of pairing: copies that must never be joined, and places that must not be blamed"""

from __future__ import annotations

from craft import House, Outgoing, request, sdp

from cases.case import ALG, DLG, case


@case(
    "pairing-two-phones-alike",
    must_not=["CAP005", "CAP007", *DLG, *ALG],
    outcomes=["completed", "completed"],
)
def _() -> House:
    """Two phones call through one router at the same moment with the same tags, CSeq and branch,
    and IP ID 0: only the Call-ID tells them apart."""
    house = House(idents=False)
    other = House(phone="192.168.1.11", wan_port=40001, idents=False)
    for one, call_id, late in ((house, "a@home", 0.0), (other, "b@home", 0.00005)):
        call = Outgoing(one, call_id, contact=f"<sip:100@{one.public}>", body=sdp(one.wan_ip))
        made = request(
            "INVITE", "sip:300@example.net", via="198.51.100.2:5060", branch="z9hG4bKsame",
            call_id=call_id, cseq=1, caller="<sip:100@example.net>;tag=same",
            callee="<sip:300@example.net>", contact=call.contact, body=call.body,
        )  # fmt: skip
        call.invited = made
        call.invite(1 + late)
        call.respond(1.3 + late, 180)
        call.ok(3 + late)
        call.ack(3.02 + late)
        call.bye(9 + late)
    house.lan += other.lan
    house.wan += other.wan
    return house
