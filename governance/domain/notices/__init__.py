"""What is worth telling people outside the platform: how grave it is, to whom it goes, how often."""

from governance.domain.notices.backoff import CRITICAL_S, GIVE_UP_S, PAUSE_S, retry_after_s
from governance.domain.notices.digest import Line, Message, digest_message, lines_that_fit, single_message
from governance.domain.notices.events import notice_of
from governance.domain.notices.notice import SEVERITIES, Notice, Severity, at_least
from governance.domain.notices.routing import (
    EVERYTHING,
    LONGEST_DEDUPE_S,
    LONGEST_DIGEST_S,
    Rule,
    matches,
    route_for,
)

__all__ = [
    "CRITICAL_S",
    "EVERYTHING",
    "GIVE_UP_S",
    "LONGEST_DEDUPE_S",
    "LONGEST_DIGEST_S",
    "PAUSE_S",
    "SEVERITIES",
    "Line",
    "Message",
    "Notice",
    "Rule",
    "Severity",
    "at_least",
    "digest_message",
    "lines_that_fit",
    "matches",
    "notice_of",
    "retry_after_s",
    "route_for",
    "single_message",
]
