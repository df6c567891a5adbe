"""One person alone never gets further than what was approved, however small the steps."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from governance.domain.policies.capital import CAPITAL_POLICY, capital_values
from governance.domain.policies.located import DocumentError, node_of
from governance.domain.policies.rulebook import rulebook_loosened, rulebook_values
from governance.domain.policies.schema import Raises, canonical
from governance.domain.policies.weights import STRATEGY_WEIGHTS, weight_values
from governance.domain.rules import Action, Fact, Vocabulary

NAMES = st.lists(st.sampled_from("abc"), unique=True)
SHARES = st.sampled_from(["0", "0.1", "0.2", "0.5", "1"])
USD = st.sampled_from([0, 100, 500, 5000])
CAPITAL = st.fixed_dictionaries(
    {},
    optional={
        "enabled": NAMES,
        "method": st.sampled_from(["equal", "hedge"]),
        "allocation_mode": st.sampled_from(["dynamic", "manual"]),
        "base_equity_frac": SHARES,
        "reserve_equity_usd": USD,
        "max_quota_usd": st.sampled_from([600, 6000]),
        "caps": st.dictionaries(st.sampled_from("ab"), USD),
        "groups": st.dictionaries(
            st.sampled_from("gh"), st.fixed_dictionaries({"members": NAMES, "cap_usd": USD})
        ),
        "cooldown_sec": st.sampled_from([0, 60, 900]),
        "drawdown_soft_pct": st.sampled_from(["0.01", "0.05"]),
        "envelope": st.fixed_dictionaries(
            {},
            optional={
                "max_total_usd": USD,
                "max_increase_usd": USD,
                "until": st.sampled_from([None, "2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z"]),
            },
        ),
    },
)
WEIGHTS = st.fixed_dictionaries(
    {"weights": st.dictionaries(st.sampled_from(["a", "b", "a:BTCUSDT"]), SHARES)},
    optional={
        "canaries": NAMES,
        "max_canary_weight": SHARES,
        "band": SHARES,
        "regime_max_age_sec": st.sampled_from([10, 100]),
        "regimes": st.dictionaries(
            st.sampled_from("ab"),
            st.fixed_dictionaries(
                {
                    "source": st.sampled_from("xy"),
                    "factors": st.dictionaries(st.sampled_from("kl"), SHARES, min_size=1),
                }
            ),
        ),
    },
)
VOCABULARY = Vocabulary({"tick": {}}, {"drawdown": Fact()}, {"notify": Action(), "pause": Action()})
RULES = st.fixed_dictionaries(
    {
        "rules": st.lists(
            st.fixed_dictionaries(
                {
                    "name": st.sampled_from("abc"),
                    "trigger": st.just("tick"),
                    "action": st.sampled_from(["notify", "pause"]),
                    "enabled": st.booleans(),
                    "cooldown_seconds": st.sampled_from([0, 60]),
                }
            ),
            max_size=3,
            unique_by=lambda row: row["name"],
        )
    },
    optional={"autopilot_enabled": st.booleans()},
)


def walked(read: Any, loosened: Any, documents: list[dict[str, Any]]) -> None:
    """Take every step one person may take alone; where it ends must be no looser than where it began."""
    first: Any = None
    current: Any = None
    for document in documents:
        try:
            values = read(node_of(document))
        except DocumentError:
            continue
        if first is None:
            first = current = values
        elif not loosened(current, values):
            current = values
    if first is not None:
        assert loosened(first, current) == []
        assert loosened(current, current) == []
        # What was stored and read again is the same policy.
        assert read(node_of(canonical(current))) == current


@given(st.lists(CAPITAL, min_size=2, max_size=8))
def test_no_walk_of_one_person_loosens_the_capital_policy(documents: list[dict[str, Any]]) -> None:
    walked(capital_values, lambda a, b: CAPITAL_POLICY.loosened(a, b, "", Raises.ANY), documents)


@given(st.lists(WEIGHTS, min_size=2, max_size=8))
def test_no_walk_of_one_person_raises_a_weight_set(documents: list[dict[str, Any]]) -> None:
    walked(weight_values, lambda a, b: STRATEGY_WEIGHTS.loosened(a, b, "", Raises.ANY), documents)


@given(st.lists(RULES, min_size=2, max_size=8))
def test_no_walk_of_one_person_takes_a_rule_away(documents: list[dict[str, Any]]) -> None:
    walked(lambda node: rulebook_values(node, VOCABULARY), rulebook_loosened, documents)
