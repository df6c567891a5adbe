"""The rule language of policies: when this happens and that is true, do one of the known things."""

from governance.domain.rules.evaluation import Evaluation, evaluate
from governance.domain.rules.expressions import Expression, RuleSyntaxError, parse_condition
from governance.domain.rules.rules import Outcome, Rule, Verdict, rule_check, rules_judge
from governance.domain.rules.vocabulary import (
    Action,
    Fact,
    Kind,
    Parameter,
    Vocabulary,
    VocabularyError,
)

__all__ = [
    "Action",
    "Evaluation",
    "Expression",
    "Fact",
    "Kind",
    "Outcome",
    "Parameter",
    "Rule",
    "RuleSyntaxError",
    "Verdict",
    "Vocabulary",
    "VocabularyError",
    "evaluate",
    "parse_condition",
    "rule_check",
    "rules_judge",
]
