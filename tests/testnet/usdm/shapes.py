"""Payloads compared by their names and JSON types."""

from __future__ import annotations

from typing import Any


def shape(value: Any) -> Any:
    """Names and JSON types, so that two payloads can be compared member by member."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def covers(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Where ours lacks a member of theirs or has it in another type."""
    if isinstance(theirs, dict):
        if not isinstance(ours, dict):
            return [f"{path}: not an object"]
        return [
            fault
            for name, member in theirs.items()
            for fault in (
                covers(ours[name], member, f"{path}.{name}")
                if name in ours
                else [f"{path}.{name} is missing"]
            )
        ]
    if isinstance(theirs, list):
        if not theirs:
            return []
        return covers(ours[0], theirs[0], f"{path}[]") if ours else [f"{path} is empty"]
    return [] if ours == theirs else [f"{path}: {ours} instead of {theirs}"]
