"""The rules, listed by hand: routers ship bytecode, so nothing may look for files here."""

from __future__ import annotations

from types import ModuleType

from algwatch.diagnose.rules import (
    alg001_contact_rewritten,
    alg002_via_rewritten,
    alg006_sdp_rewritten,
    alg010_partial_rewrite,
    alg011_mapping_mismatch,
    alg014_benign_rewrite,
    alg015_helpful_rewrite,
    cap001_one_sided,
    cap002_packets_lost,
    cap005_partial_dialog,
    cap007_duplicate_packets,
    cap008_clocks_differ,
    cap009_sides_exchanged,
    cap010_not_two_sides,
    dlg001_ack_lost,
    dlg002_private_contact,
    dlg004_missing_record_route,
    txn001_invite_unanswered,
)

RULES: tuple[ModuleType, ...] = (
    cap001_one_sided,
    cap002_packets_lost,
    cap005_partial_dialog,
    cap007_duplicate_packets,
    cap008_clocks_differ,
    cap009_sides_exchanged,
    cap010_not_two_sides,
    txn001_invite_unanswered,
    dlg001_ack_lost,
    dlg002_private_contact,
    dlg004_missing_record_route,
    alg001_contact_rewritten,
    alg002_via_rewritten,
    alg006_sdp_rewritten,
    alg010_partial_rewrite,
    alg011_mapping_mismatch,
    alg014_benign_rewrite,
    alg015_helpful_rewrite,
)
