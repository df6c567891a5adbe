"""Who watches every step: what stood before, what stands after, and whose yes it took."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from nautilus_site.common.models import AuditEntry, ChangeRequest, User
from tests.integration.governance.two_people.covers import COVERS, covered
from tests.integration.governance.two_people.exposure import Exposure, raised
from tests.integration.governance.two_people.watch import Watch

APPLIED = ChangeRequest.State.APPLIED


@dataclass(frozen=True, slots=True)
class Filed:
    """Who asked for a request, and how everything stood then."""

    by: str
    stood: Exposure


class Judge:
    """Looks before and after every step, and names what one person should not have been able to do."""

    def __init__(self) -> None:
        self.filed: dict[UUID, Filed] = {}
        self.applied: set[UUID] = set()
        self.ended: set[UUID] = set()
        self.champions: list[str] = []
        self.watch = Watch()
        self.before = self.watch.look()
        for row in ChangeRequest.objects.select_related("requester"):
            self.filed[row.pk] = Filed(row.requester.username, self.before)
            self.applied.add(row.pk)
        approved = ChangeRequest.objects.filter(kind="model.promote", state=APPLIED).order_by("created_at")
        self.champions = [
            f"model {row.target.partition(':')[2]} champion"
            for row in approved
            if row.payload["stage"] == "champion"
        ]
        self.entries = AuditEntry.objects.count()
        self.seen: Counter[str] = Counter()

    def step(self, actor: str, way: str, act: Any) -> None:
        """Let somebody do something, and judge what it did."""
        person = User.objects.get(username=actor)
        could_decide = person.role == "risk_officer" and person.is_active
        act()
        after = self.watch.look()
        requests = {row.pk: row for row in ChangeRequest.objects.select_related("requester")}
        for pk, row in requests.items():
            if pk not in self.filed:
                by_machine = row.kind == "capital.endorse" and row.requester.username == "allocator"
                assert by_machine or row.requester.username == actor, f"{row}: asked for in another's name"
                self.filed[pk] = Filed(row.requester.username, self.before)
        newly = [row for pk, row in requests.items() if row.state == APPLIED and pk not in self.applied]
        for row in newly:
            assert self.filed[row.pk].by != actor, f"{row}: {actor} decided their own request"
            assert could_decide, f"{row}: {actor} is no risk officer"
            assert way in ("session", "service"), f"{row}: decided with a {way}"
            assert row.pk not in self.ended, f"{row}: its time was over"
            self.applied.add(row.pk)
            self.seen[row.kind] += 1
        assert len(newly) <= 1, "one decision, one change"
        for name in raised(self.before, after):
            own = {f"password {actor}", f"factor {actor}", f"factor {actor} codes"}
            if name in own or (name.startswith("token ") and f" of {actor}" in name):
                continue  # one's own; not `factor ... gone`: nobody takes away even theirs
            if not newly and self._stepped_back(name):
                continue
            assert newly, f"{actor} raised {name!r} alone: {self.before.get(name)} -> {after.get(name)}"
            row = newly[0]
            assert covered(row.kind, row.target, name), f"{row} raised {name!r}"
            if name.startswith(COVERS[row.kind][0].partition("{")[0]) and not name.startswith("instance"):
                stood = self.filed[row.pk].stood
                assert stood.get(name) == self.before.get(name), (
                    f"{row}: {name!r} had changed since it was filed"
                )
        if newly:
            self.champions += [
                name for name in after if name.endswith(" champion") and name not in self.champions
            ]
        gone = [name for name in self.champions if name in self.before and name not in after]
        if not newly and gone:
            # Rolled back or retired: it comes back by two people only.
            self.champions = [name for name in self.champions if name in after]
        entries = AuditEntry.objects.count()
        assert entries >= self.entries, "the trail lost entries"
        assert entries > self.entries or after == self.before or not raised(self.before, after)
        self.before, self.entries = after, entries

    def _stepped_back(self, name: str) -> bool:
        """A rollback puts the champion before the present one in force again: approved once, and never taken back."""
        return name.endswith(" champion") and name in self.champions
