"""Changing a playbook: what acts earlier applies at once, what acts later takes two people."""

from __future__ import annotations

from typing import Any

import pytest

from governance.models import Incident, Playbook
from governance.services.playbooks import change_effect, playbook_change, playbooks_install
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry, ChangeRequest
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.trading import Desk
from tests.integration.governance.playbooks.conftest import Arm, Watch
from tests.integration.governance.playbooks.test_triggers import drawdown, stale_data


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": 3.0},
        {"cooldown_s": 60.0},
        {"max_scopes": 9},
        {"blind_after": 2},
        {"severity": "critical"},
        {"actions": [{"do": "kill", "level": "CANCEL"}, {"do": "tighten", "limit": "max_notional", "factor": 0.3},
                     {"do": "blackout", "minutes": 60}]},
    ],
)  # fmt: skip
def test_acting_earlier_or_doing_more_applies_at_once(
    desk: Desk, trader: Any, values: dict[str, Any]
) -> None:
    row = playbook_change(name="drawdown", values=values, actor=trader, reason="nervous")
    assert isinstance(row, Playbook)
    assert AuditEntry.objects.filter(action="playbook.changed", actor=trader).exists()


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": 8.0},
        {"confirm": 5},
        {"cooldown_s": 7200.0},
        {"max_scopes": 1},
        {"blind_after": 7},
        {"is_armed": False},
        {"severity": "info"},
        {"window_s": 30.0},
        {"actions": [{"do": "blackout", "minutes": 30}]},
        {
            "actions": [
                {"do": "blackout", "minutes": 10},
                {"do": "tighten", "limit": "max_notional", "factor": 0.5},
            ]
        },
        {
            "actions": [
                {"do": "blackout", "minutes": 30},
                {"do": "tighten", "limit": "max_notional", "factor": 0.9},
            ]
        },
        {"threshold": 3.0, "is_armed": False},
    ],
)
def test_acting_later_or_doing_less_takes_two(
    desk: Desk, trader: Any, risk_officer: Any, values: dict[str, Any]
) -> None:
    before = Playbook.objects.values().get(name="drawdown")
    asked = playbook_change(name="drawdown", values=values, actor=trader, reason="calmer")
    assert isinstance(asked, ChangeRequest)
    assert Playbook.objects.values().get(name="drawdown") == before
    change_request_approve(request_id=asked.pk, approver=risk_officer)
    row = Playbook.objects.get(name="drawdown")
    assert all(name == "actions" or getattr(row, name) == value for name, value in values.items())


def test_one_step_does_not_stand_for_two_equal_ones(desk: Desk, trader: Any, risk_officer: Any) -> None:
    half, third = ({"do": "tighten", "limit": "max_notional", "factor": factor} for factor in (0.5, 0.3))
    twice = playbook_change(name="drawdown", values={"actions": [half, half]}, actor=trader, reason="less")
    assert isinstance(twice, ChangeRequest), "it no longer halts"
    change_request_approve(request_id=twice.pk, approver=risk_officer)
    once = playbook_change(name="drawdown", values={"actions": [half]}, actor=trader, reason="less")
    assert isinstance(once, ChangeRequest)
    # The stricter of two may stand for either: that one is already taken does not matter.
    stricter = playbook_change(
        name="drawdown", values={"actions": [third, half]}, actor=trader, reason="more"
    )
    assert isinstance(stricter, Playbook)


def test_a_request_says_what_the_playbook_would_not_have_done(
    desk: Desk, arm: Arm, watch: Watch, trader: Any
) -> None:
    arm("drawdown")
    drawdown(desk, True)  # 5.01 %
    watch(2)
    effects = []
    for values in ({"threshold": 6.0}, {"is_armed": False}, {"cooldown_s": 7200.0}):
        asked = playbook_change(name="drawdown", values=values, actor=trader, reason="calmer")
        assert isinstance(asked, ChangeRequest)
        effects.append((asked.effect["runs_last_7_days"], asked.effect["it_would_not_have_acted"]))
    assert effects == [(1, 1), (1, 1), (1, 0)]


def test_a_request_is_held_against_what_is_kept_of_a_run_and_says_what_that_cannot_tell(
    desk: Desk, arm: Arm, watch: Watch
) -> None:
    arm("stale_data")
    stale_data(desk, True)
    incident = watch(2)
    assert incident is not None
    stale_data(desk, False)
    watch()  # it stood for no more than a moment, at one sample

    def effect(payload: dict[str, Any]) -> dict[str, Any]:
        return change_effect("playbook:stale_data", payload)

    for payload in ({"confirm": 9}, {"min_samples": 2}, {"threshold": 122.0}):
        assert effect(payload) == {"runs_last_7_days": 1, "it_would_not_have_acted": 1}
    assert effect({"window_s": 1.0, "cooldown_s": 9e5}) == {
        "runs_last_7_days": 1, "it_would_not_have_acted": 0, "what_is_kept_cannot_tell_of": ["window_s"],
    }  # fmt: skip
    shorter = effect({"actions": [{"do": "blackout", "minutes": 1}]})
    assert shorter["steps_it_would_not_take"] == ["no new risk for 5 min"]
    Incident.objects.filter(pk=incident.pk).update(kind="unmeasured")
    assert effect({"confirm": 9})["runs_last_7_days"] == 0, "what nobody measured says nothing of the rule"


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": -1},
        {"threshold": "much"},
        {"confirm": 0},
        {"blind_after": 0},
        {"is_armed": "no"},
        {"actions": []},
        {"actions": [{"do": "resume"}]},
        {"actions": [{"do": "tighten", "limit": "no_such", "factor": 0.5}]},
        {"actions": [{"do": "tighten", "limit": "key_max_age", "factor": 0.5}]},  # no order is judged by it
        {"actions": [{"do": "blackout", "minutes": 30}] * 21},
        {"measure": "x"},
        {"cooldown_s": float("nan")},
    ],
)
def test_a_bad_change_is_refused(desk: Desk, trader: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ApplicationError) as refused:
        playbook_change(name="drawdown", values=values, actor=trader, reason="r")
    assert refused.value.code == "INVALID_PLAYBOOK"


def test_installing_again_keeps_what_people_have_changed(desk: Desk, risk_officer: Any) -> None:
    playbook_change(name="drawdown", values={"threshold": 2.0}, actor=risk_officer, reason="r")
    assert playbooks_install() == 0
    assert Playbook.objects.get(name="drawdown").threshold == 2.0


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("daily_loss", {"min_samples": 2}),
        ("leverage", {"min_samples": 2}),
        ("corr_spike", {"window_s": 1740}),
    ],
)
def test_more_samples_than_a_figure_ever_has_are_refused(
    desk: Desk, trader: Any, name: str, values: dict[str, Any]
) -> None:
    with pytest.raises(ApplicationError, match="min_samples: a figure of"):
        playbook_change(name=name, values=values, actor=trader, reason="fewer false alarms")
