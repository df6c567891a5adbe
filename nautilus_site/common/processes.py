"""What this process is, by the `-X nautilus-KIND` it was started with."""

from __future__ import annotations

import sys

READ_ONLY = frozenset({"exporter", "executor"})
"""Kinds that load nothing with a way to an order: no service that decides, no client that can send."""

BYSTANDERS = frozenset({"beat", "feed", "feed-standby", "relay", "watchdog"})
"""Kinds that ask for no change of anything governed, carry none out, and answer no probe."""


def process_kind() -> str:
    """The kind, such as `web`; empty for a plain interpreter."""
    for option in sys._xoptions:
        if option.startswith("nautilus-"):
            return str(option).removeprefix("nautilus-")
    return ""


def is_read_only() -> bool:
    """Whether this process must stay without a way to an order."""
    return process_kind() in READ_ONLY


def takes_part() -> bool:
    """Whether what the apps register (changes, readiness, policies) is ever looked up in this process."""
    return process_kind() not in BYSTANDERS
