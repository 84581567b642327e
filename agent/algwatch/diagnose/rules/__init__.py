# SPDX-License-Identifier: Apache-2.0
"""The rules, listed by hand: routers ship bytecode, so nothing may look for files here."""

from __future__ import annotations

from types import ModuleType

from algwatch.diagnose.rules.alg import (
    alg001_contact_rewritten,
    alg002_via_rewritten,
    alg006_sdp_rewritten,
    alg008_swallowed,
    alg010_partial_rewrite,
    alg011_mapping_mismatch,
    alg014_benign_rewrite,
    alg015_helpful_rewrite,
    alg017_helper_present,
)
from algwatch.diagnose.rules.cap import (
    cap001_one_sided,
    cap002_packets_lost,
    cap005_partial_dialog,
    cap006_hardware_offload,
    cap007_duplicate_packets,
    cap008_clocks_differ,
    cap009_sides_exchanged,
    cap010_not_two_sides,
    cap011_cut_messages,
    cap012_contradictory_copies,
    cap013_shorter_capture,
)
from algwatch.diagnose.rules.dlg import (
    dlg001_ack_lost,
    dlg002_private_contact,
    dlg004_missing_record_route,
    dlg006_ack_misaddressed,
    dlg008_ghost_dialog,
)
from algwatch.diagnose.rules.reg import reg001_registration_failed, reg006_call_not_delivered
from algwatch.diagnose.rules.sdp import (
    sdp001_media_address,
    sdp002_media_port,
    sdp003_one_way_audio,
)
from algwatch.diagnose.rules.txn import (
    txn001_invite_unanswered,
    txn002_refusal_unacknowledged,
    txn003_request_failed,
    txn008_odd_ack,
)

RULES: tuple[ModuleType, ...] = (
    cap001_one_sided,
    cap002_packets_lost,
    cap005_partial_dialog,
    cap006_hardware_offload,
    cap007_duplicate_packets,
    cap008_clocks_differ,
    cap009_sides_exchanged,
    cap010_not_two_sides,
    cap011_cut_messages,
    cap012_contradictory_copies,
    cap013_shorter_capture,
    txn001_invite_unanswered,
    txn002_refusal_unacknowledged,
    txn003_request_failed,
    txn008_odd_ack,
    dlg001_ack_lost,
    dlg002_private_contact,
    dlg004_missing_record_route,
    dlg006_ack_misaddressed,
    dlg008_ghost_dialog,
    reg001_registration_failed,
    reg006_call_not_delivered,
    alg001_contact_rewritten,
    alg002_via_rewritten,
    alg006_sdp_rewritten,
    alg008_swallowed,
    alg010_partial_rewrite,
    alg011_mapping_mismatch,
    alg014_benign_rewrite,
    alg015_helpful_rewrite,
    alg017_helper_present,
    sdp001_media_address,
    sdp002_media_port,
    sdp003_one_way_audio,
)
