"""What the machine may do by itself: when, what, how far, and how it is marked. Pure."""

from governance.domain.playbooks.actions import (
    MOST_STEPS,
    Action,
    InvalidAction,
    Verb,
    actions_parse,
    rehearsal_permissions,
)
from governance.domain.playbooks.catalogue import PLAYBOOKS, PlaybookSpec
from governance.domain.playbooks.comparing import steps_lost
from governance.domain.playbooks.machine import Rule, Verdict, Watch, failed_in_a_row, judge
from governance.domain.playbooks.replay import Past, Setting, not_acted
from governance.domain.playbooks.scoring import Facts, Mark, score
from governance.domain.playbooks.signals import entropy_bits, in_common, mean_correlation, peg_deviation

__all__ = [
    "MOST_STEPS",
    "PLAYBOOKS",
    "Action",
    "Facts",
    "InvalidAction",
    "Mark",
    "Past",
    "PlaybookSpec",
    "Rule",
    "Setting",
    "Verb",
    "Verdict",
    "Watch",
    "actions_parse",
    "entropy_bits",
    "failed_in_a_row",
    "in_common",
    "judge",
    "mean_correlation",
    "not_acted",
    "peg_deviation",
    "rehearsal_permissions",
    "score",
    "steps_lost",
]
