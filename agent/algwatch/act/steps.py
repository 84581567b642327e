# SPDX-License-Identifier: Apache-2.0
"""The words of the journal, in the order of apply's steps (docs/apply.md)."""

from __future__ import annotations

BEGIN = "begin"  # nothing was done; the facts are the plan
SAVED = "saved"  # configuration and ruleset are copied
EDIT = "edit"  # the configuration is about to change, uncommitted or undone by a reboot
COMMIT = "commit"  # the change is about to count for every reader of the configuration
RULES = "rules"  # live rules are about to change
RELOAD = "reload"  # the firewall is about to read its configuration
EFFECT = "effect"  # the loaded ruleset is about to be looked at
LIVE = "live"  # live entries are about to lose their helper
DELETE = "delete"  # one live entry is about to be deleted
PROBE = "probe"  # the router is about to be asked by a probe
WATCH = "watch"  # registrations and calls are about to be watched
KEEP = "keep"  # the change is about to become permanent
UNDO = "undo"  # everything is about to be put back

APPLIED = "applied"  # in force, and nothing contradicts it; not verified yet
VERIFIED = "verified"  # in force, and seen to work
ROLLED_BACK = "rolled-back"  # as it was before

IN_FORCE = APPLIED, VERIFIED
FINISHED = APPLIED, VERIFIED, ROLLED_BACK
