"""Whoever had a model trained does not decide that it may trade: not even as a risk officer by now."""

from __future__ import annotations

from mlregistry.models import TrainingRun
from nautilus_site.common.models import User


def trainer_bars(target: str, person: User) -> str:
    """Why this person may not decide about the version of `model:ID` or the `family:NAME`; empty: they may."""
    kind, _, rest = target.partition(":")
    runs = TrainingRun.objects.filter(requested_by=person)
    runs = runs.filter(version__pk=int(rest)) if kind == "model" else runs.filter(family__name=rest)
    return f"{person} had it trained" if runs.exists() else ""
