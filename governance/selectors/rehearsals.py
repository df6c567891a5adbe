"""Rehearsals under way: whether what a playbook sees is the fault that was put in."""

from __future__ import annotations

from governance.models import Playbook, Rehearsal


def rehearsal_behind(playbook: Playbook, scope: str) -> Rehearsal | None:
    """The rehearsal of a playbook whose fault can be seen on a scope now; None where what is seen really happens.

    Only while it is watched: afterwards a fault that could not be taken out counts like any other cause.
    """
    row = Rehearsal.objects.filter(playbook=playbook, state=Rehearsal.State.WATCHING).first()
    if row is None or scope not in {row.scope, *row.fault.get("others", ())}:
        return None
    return row
