"""Whose a model is: theirs who had it trained, and theirs who registered it.

The owner does not decide that it may trade, not even as a risk officer by now; and may stop it at once.
"""

from __future__ import annotations

from django.db.models import Q

from mlregistry.models import ModelVersion, TrainingRun
from nautilus_site.common.models import User


def _owned(person: User) -> Q:
    return Q(created_by=person) | Q(run__requested_by=person)


def trainer_bars(target: str, person: User) -> str:
    """Why this person may not decide about `model:ID`, `canary:UID` or `family:NAME`; empty: they may."""
    kind, _, rest = target.partition(":")
    versions = ModelVersion.objects.filter(_owned(person))
    if kind == "model":
        owned = versions.filter(pk=int(rest)).exists()
    elif kind == "canary":
        owned = versions.filter(canaries__uid=rest).exists()
    else:  # a family counts from the first training that was asked for, whatever came of it
        asked = TrainingRun.objects.filter(requested_by=person, family__name=rest)
        owned = asked.exists() or versions.filter(family__name=rest).exists()
    return f"{person} had it trained or registered it" if owned else ""


def owns_model(person: User, name: str) -> bool:
    """Whether the version `FAMILY@NUMBER` is this person's."""
    family, _, number = name.partition("@")
    if not number.isdecimal():
        return False
    return ModelVersion.objects.filter(_owned(person), family__name=family, number=int(number)).exists()
