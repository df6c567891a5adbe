"""What is worth telling people outside the platform: how grave it is, to whom it goes, how often."""

from governance.domain.notices.backoff import CRITICAL_S, GIVE_UP_S, retry_after_s
from governance.domain.notices.digest import Line, Message, digest_message, single_message
from governance.domain.notices.events import notice_of
from governance.domain.notices.notice import SEVERITIES, Notice, Severity, at_least
from governance.domain.notices.routing import Rule, matches, route_for

__all__ = [
    "CRITICAL_S",
    "GIVE_UP_S",
    "SEVERITIES",
    "Line",
    "Message",
    "Notice",
    "Rule",
    "Severity",
    "at_least",
    "digest_message",
    "matches",
    "notice_of",
    "retry_after_s",
    "route_for",
    "single_message",
]
