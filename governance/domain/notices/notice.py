"""One thing people should hear of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How grave it is; the words of the earlier system's notifier."""

    success = "success"
    info = "info"
    warning = "warning"
    critical = "critical"


SEVERITIES = tuple(severity.value for severity in Severity)
_RANK = {Severity.success: 0, Severity.info: 0, Severity.warning: 1, Severity.critical: 2}


def at_least(severity: str, minimum: str) -> bool:
    """Whether something so grave reaches who asked for `minimum`; good news ranks with information."""
    return _RANK[Severity(severity)] >= _RANK[Severity(minimum)]


@dataclass(frozen=True, slots=True)
class Notice:
    """What happened, in words for people.

    `kind` has dots from wide to narrow (`breaker.drawdown`), for routes. `subject` is what it is about, `news` what is
    new of it: the same news of a subject is the same notice told twice, unless other news came between. `link` is a
    path of the dashboard.
    """

    kind: str
    severity: Severity
    title: str
    text: str
    link: str
    subject: str
    news: str = ""
