"""Messages that stopped at this router, or left it for another host, because of where they were
sent: a NAT lets in what answers to what went out, and nothing else. Not the router's doing."""

from __future__ import annotations

from algwatch.base.packet import LAN, WAN
from algwatch.base.sighting import Ends
from algwatch.compare.call import Call
from algwatch.diagnose.context import Context
from algwatch.sip.dialog import Dialog
from algwatch.sip.message import Message

Reading = tuple[str, str]  # where, what happened


def ack_misrouted(call: Call, context: Context) -> Reading | None:
    """Of an ACK that arrived on the WAN and never left to the LAN: whether it was sent to where
    the phone is not, or came from where the phone has never sent anything."""
    lan, wan = call.dialogs[LAN], call.dialogs[WAN]
    if wan is None or wan.ack is None or wan.answer is None or wan.request is None:
        return None
    ack, answer, invite = wan.ack.ends, wan.answer.ends, wan.request.ends
    if (ack.dst, ack.dport) != (answer.src, answer.sport):
        what = (
            f"the ACK was sent to {ack.dst}:{ack.dport}, but the 2xx came from "
            f"{answer.src}:{answer.sport}"
        )
        shown = Message(wan.answer.payload).contacts
        if not shown or (shown[0].host, shown[0].port or 5060) != (ack.dst, ack.dport):
            return "provider", what
        wrote = Message(lan.answer.payload).contacts if lan is not None and lan.answer else []
        by_phone = bool(wrote) and wrote[0].uri == shown[0].uri
        return "phone" if by_phone else "router", f"{what}, as its Contact said"
    if ack.src != invite.src and not _has_mapping(call, wan.ack.packed_ends[:16], context):
        return "provider", (
            f"the ACK came from {ack.src}, the INVITE from {invite.src}: no phone has sent "
            "anything there, so it was not let in"
        )
    return None


def answer_misrouted(call: Call) -> Reading | None:
    """Of a 2xx to a call of the phone that never reached it: whether it was sent to another port
    than the INVITE came from, or by another host than the INVITE went to."""
    lan, wan = call.dialogs[LAN], call.dialogs[WAN]
    if wan is None or wan.answer is None or wan.request is None:
        return None
    answer, invite = wan.answer.ends, wan.request.ends
    if (answer.dst, answer.dport) != (invite.src, invite.sport):
        what = (
            f"the 2xx was sent to {answer.dst}:{answer.dport}, but the INVITE came from "
            f"{invite.src}:{invite.sport}"
        )
        vias = Message(wan.request.payload).vias
        wrote = Message(lan.request.payload).vias if lan is not None and lan.request else vias
        if vias and wrote and vias[0].all != wrote[0].all:
            return "router", f"{what}, and the router had changed its Via"
        if vias and vias[0].rport is None:
            return "phone", f"{what} and did not ask for rport (RFC 3581)"
        return "provider", what
    if (answer.src, answer.sport) != (invite.dst, invite.dport):
        return "provider", (
            f"the 2xx came from {answer.src}:{answer.sport}, the INVITE went to "
            f"{invite.dst}:{invite.dport}"
        )
    return None


def answer_elsewhere(lan: Dialog) -> Ends | None:
    """Where in the LAN the 2xx went, when that is another host than the INVITE came from."""
    if lan.answer is None or lan.request is None:
        return None
    went = lan.answer.ends
    return went if went.dst != lan.request.ends.src else None


def _has_mapping(call: Call, remote: bytes, context: Context) -> bool:
    invite = call.flow_pairs.get("INVITE")
    return invite is not None and context.lines.has(invite.peer[:16], remote)
