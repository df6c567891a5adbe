"""Rules of `policies.yaml`: judged over events and metrics, carried out through the ordinary services."""

from governance.services.rules.acting import ACTIONS
from governance.services.rules.effect import rules_effect
from governance.services.rules.judging import rules_run
from governance.services.rules.vocabulary import METRICS, VOCABULARY, facts_of

__all__ = ["ACTIONS", "METRICS", "VOCABULARY", "facts_of", "rules_effect", "rules_run"]
