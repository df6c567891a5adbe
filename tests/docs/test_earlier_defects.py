"""Every defect of the earlier system that governance answers for is named by a test that would fail there."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.docs.documents import ROOT

# What went wrong there, by its number in the list of the earlier system's defects: its safety nets (W24 to W32) and its
# governance (W80 to W86). Beside it every test that would fail there; each was seen to fail with its rule taken out.
PLAYBOOKS = "integration/governance/playbooks/test_earlier_defects.py"
BRACKETS = "integration/trading/services/brackets/test_earlier_defects.py"
RULES = "integration/governance/test_rules.py"
CAPITAL = "integration/governance/test_capital.py"
DEFECTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "W24": (
        "a kill wrote a file nothing read, and answered ok when its call had failed",
        (
            "e2e/test_live_paper_trading.py::test_halt_cancels_everything_at_the_exchange_and_says_so",
            f"{PLAYBOOKS}::test_w24_success_is_claimed_only_for_what_was_seen_to_work",
            f"{PLAYBOOKS}::test_w24_what_a_playbook_sets_is_what_the_rails_read",
            f"{RULES}::test_each_action_has_its_effect_and_is_not_done_twice",
        ),
    ),
    "W25": (
        "actions changed environment variables that the rails never read",
        (
            f"{PLAYBOOKS}::test_w25_and_w32_a_stop_outlives_the_process_that_made_it",
            f"{RULES}::test_a_denied_order_tightens_a_limit_once_until_the_cool_down_is_over",
        ),
    ),
    "W26": (
        "rules waited for codes no rail gives, shared cool-downs, were subscribed twice and ran through eval",
        (
            f"{PLAYBOOKS}::test_w26_every_playbook_listens_to_something_that_is_measured",
            f"{PLAYBOOKS}::test_w26_installing_and_scheduling_twice_makes_nothing_twice",
            f"{PLAYBOOKS}::test_w26_nothing_in_governance_runs_text_as_code",
            f"{PLAYBOOKS}::test_w26_one_playbooks_cool_down_does_not_silence_another",
            f"{RULES}::test_a_denied_order_tightens_a_limit_once_until_the_cool_down_is_over",
            f"{RULES}::test_every_trigger_is_an_event_that_happens_and_carries_its_facts",
            "unit/governance/domain/rules/test_conditions.py::test_error_says_where_and_what",
            "unit/governance/domain/rules/test_rules.py::test_cool_down_belongs_to_the_rule_not_to_its_action",
        ),
    ),
    "W27": (
        "after a kill nothing could be flattened",
        (f"{PLAYBOOKS}::test_w27_after_a_hard_stop_a_position_can_still_be_closed",),
    ),
    "W28": (
        "a restart, midnight and a growing limit re-armed trading; unrealised losses did not count",
        (
            f"{PLAYBOOKS}::test_w28_a_level_a_person_raised_survives_midnight_and_every_tick",
            f"{PLAYBOOKS}::test_w28_a_restart_lowers_no_level_and_forgets_no_loss",
            f"{PLAYBOOKS}::test_w28_the_days_loss_counts_what_is_not_realised_and_its_limit_never_grows_by_itself",
            f"{RULES}::test_no_machine_raises_a_level_back_or_a_limit_up",
        ),
    ),
    "W29": (
        "brackets were never placed, their fills never told, their protection repaired for ever",
        (
            f"{BRACKETS}::test_w29_a_bracket_is_at_the_exchange_its_fill_is_told_and_nothing_is_repaired_again",
        ),
    ),
    "W30": (
        "exits lived in threads, were of a fixed amount, began without an entry, and rails refused them",
        (f"{BRACKETS}::test_w30_exits_are_rows_of_what_was_filled_and_no_rail_keeps_them_away",),
    ),
    "W31": (
        "a playbook did not compile, ran shell lines that enabled trading, and was keyed by other names",
        (
            f"{PLAYBOOKS}::test_w31_a_playbook_runs_the_steps_of_its_own_name",
            f"{PLAYBOOKS}::test_w31_no_step_starts_a_process_or_switches_trading_on",
        ),
    ),
    "W32": (
        "trading was disabled in a process that was ending",
        (
            f"{PLAYBOOKS}::test_w25_and_w32_a_stop_outlives_the_process_that_made_it",
            f"{RULES}::test_each_action_has_its_effect_and_is_not_done_twice",
        ),
    ),
    "W80": (
        "there were no figures per model to judge",
        (
            f"{CAPITAL}::test_results_of_the_strategies_decide_by_the_method",
            "integration/trading/selectors/test_strategy_results.py::test_results_are_written_once_a_minute_and_at_once_for_another_model",
        ),
    ),
    "W81": (
        "a Sharpe ratio of levels within ten minutes; a drawdown in USD",
        (
            "unit/governance/domain/allocation/test_decision.py::test_sharpe_is_that_of_returns_not_of_levels",
            "unit/governance/domain/test_leaderboard.py::test_the_deepest_fall_is_a_fraction_of_the_peak",
            "unit/governance/domain/test_leaderboard.py::test_the_sharpe_ratio_is_that_of_returns_over_a_year",
        ),
    ),
    "W82": (
        "a canary was compared by raw profit, without a test, and went from nothing to everything",
        (
            "integration/mlregistry/test_canaries.py::test_each_interval_is_one_paired_observation_of_net_returns",
            "integration/mlregistry/test_canary_steps.py::test_a_canary_grows_to_its_ramp_and_only_there_it_wins",
        ),
    ),
    "W83": (
        "the reserve was given out, minimums broken, files overwritten, the policy read once, unknown equity ignored",
        (
            f"{CAPITAL}::test_somebody_elses_change_in_between_is_not_overwritten",
            f"{CAPITAL}::test_tick_runs_when_the_policys_time_is_over_and_reads_the_policy_anew",
            f"{CAPITAL}::test_unknown_equity_changes_nothing_and_renews_nothing",
            "unit/governance/domain/allocation/test_decision.py::test_a_pool_too_small_for_every_minimum_keeps_the_heaviest_whole",
            "unit/governance/domain/allocation/test_decision.py::test_equity_at_or_below_the_reserve_gives_nobody_anything",
        ),
    ),
    "W84": (
        "weights answered 403 always; a quota was per signal",
        (
            "integration/governance/test_routing.py::test_lowering_is_one_persons_at_once_and_raising_takes_two",
            "integration/governance/test_routing.py::test_signals_of_a_strategy_share_its_capital_on_the_symbol",
        ),
    ),
    "W85": (
        "a promotion changed files or a string; no engine was told, nothing was audited",
        (
            "integration/governance/test_routing.py::test_promotion_by_tag_asks_or_says_that_there_is_no_such_model",
            "integration/mlregistry/test_registry.py::test_a_promotion_is_written_onto_the_strategies_that_follow_the_family",
        ),
    ),
    "W86": (
        "routes told of a success that nobody had caused",
        (
            "integration/governance/notifications/test_changes.py::test_w86_a_message_is_called_sent_only_once_its_receiver_took_it",
            "integration/trading/services/test_commands.py::test_a_cancel_asked_for_twice_is_one_intent_and_ends_done",
        ),
    ),
}


@cache
def named() -> dict[str, set[str]]:
    """Tests by the defects in their names, docstrings or, for whole files, the first line of the module."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        if path.name == "test_earlier_defects.py" and path.parent.name == "docs":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                words = f"{node.name.upper()} {ast.get_docstring(node) or ''}"
                for number in re.findall(r"(?<![A-Z0-9])W\d\d(?!\d)", words.replace("_", " ")):
                    found.setdefault(number, set()).add(f"{path.relative_to(ROOT)}::{node.name}")
    return found


@pytest.mark.parametrize("defect", DEFECTS)
def test_the_table_has_every_test_that_names_it(defect: str) -> None:
    told, tests = DEFECTS[defect]
    assert told
    assert tests
    assert named().get(defect) == {f"tests/{test}" for test in tests}


def test_the_table_has_every_defect_and_none_but_these() -> None:
    assert list(DEFECTS) == [f"W{number}" for number in (*range(24, 33), *range(80, 87))]


def test_a_proof_is_in_the_ordinary_suite() -> None:
    for _, tests in DEFECTS.values():
        for test in tests:
            path, name = test.split("::")
            source = (ROOT / "tests" / path).read_text()
            before = source[: source.index(f"def {name}(")].rpartition("\n\n\n")[2]
            assert not re.search(r"mark\.(long|skip|xfail)", before), f"{test} is not run by make test"
