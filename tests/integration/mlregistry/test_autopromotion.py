"""Inside an approved envelope a version goes from candidate to champion without a person; outside, nowhere."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, GateVerdict, ModelVersion, ShadowDecision
from mlregistry.services.autopromotion import autopromote
from mlregistry.services.envelopes import envelope_close, envelope_request
from mlregistry.services.register import version_register
from mlregistry.services.stages import move_within_envelope, promotion_request
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import Role, User
from nautilus_site.common.services.change_requests import change_request_approve
from tests.factories.markets import paying_bars, paying_closes, trained_on
from tests.factories.trading import trading_desk
from trading.models import Strategy, StrategyInstance

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def encoded() -> list[Any]:
    bars = paying_bars(paying_closes(1000))
    return [trained_on(bars, states=states) for states in (1, 2)]


@pytest.fixture
def people() -> tuple[User, User]:
    return tuple(  # type: ignore[return-value]
        User.objects.create_user(username=role, password="x" * 20, role=role)
        for role in (Role.MODEL_OWNER, Role.RISK_OFFICER)
    )


@pytest.fixture
def challenger(tmp_path: Path, settings: Any, encoded: list[Any], people: tuple[User, User]) -> ModelVersion:
    settings.NAUTILUS_HOME = tmp_path
    trading_desk(symbols=("BTCUSDT",))
    champion = version_register(encoded=encoded[0], metrics={}, actor="test")
    Strategy.objects.filter(name="trend").update(kind="hmm_policy", model_family=champion.family.name)
    asked = promotion_request(
        version=champion, stage=Stage.CHAMPION, reason="first", requester=people[0], override=True
    )
    change_request_approve(request_id=asked.pk, approver=people[1])
    return version_register(encoded=encoded[1], metrics={}, actor="test")


def envelope(version: ModelVersion, people: tuple[User, User], **changes: Any) -> None:
    members = {
        "canary": True,
        "champion": True,
        "until": (timezone.now() + timedelta(days=30)).isoformat(),
        "most_capital": 200,
        "every_days": 0,
        "rules": {"share": 0.25},
        **changes,
    }
    asked = envelope_request(
        family=version.family, envelope=members, reason="small steps", requester=people[0]
    )
    change_request_approve(request_id=asked.pk, approver=people[1])


def verdict(version: ModelVersion, *, passed: bool) -> None:
    champion = ModelVersion.objects.get(stage=Stage.CHAMPION)
    GateVerdict.objects.filter(version=version, state="queued").delete()
    GateVerdict.objects.create(
        version=version,
        champion=champion,
        asked={},
        state="done",
        passed=passed,
        criteria=[{"name": "difference", "passed": passed}],
        policy={"strategy": "hmm_policy", "params": {"fast": 2, "slow": 3}},
        created_at=timezone.now(),
        finished_at=timezone.now(),
    )


def step(version: ModelVersion) -> tuple[str, str]:
    (taken,) = autopromote()
    version.refresh_from_db()
    return taken.did, taken.why


def test_without_an_envelope_or_past_its_end_nothing_happens(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    verdict(challenger, passed=True)
    assert autopromote() == []
    envelope(challenger, people)
    family = challenger.family
    family.refresh_from_db()
    family.envelope["until"] = (timezone.now() - timedelta(seconds=1)).isoformat()
    family.save()
    assert step(challenger) == ("nothing", "its envelope has ended")
    envelope(challenger, people)
    envelope_close(family=family, actor="risk", reason="stop")
    assert step(challenger) == ("nothing", "its envelope promotes nothing")
    assert challenger.stage == Stage.CANDIDATE


def test_a_version_goes_all_the_way_one_proven_step_at_a_time(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    envelope(challenger, people)
    challenger.family.refresh_from_db()
    approval = challenger.family.envelope["approval"]
    assert step(challenger) == ("judged", f"{challenger} was never judged")
    assert step(challenger) == ("nothing", "it is being judged")
    verdict(challenger, passed=True)
    assert step(challenger)[0] == "shadow"
    assert step(challenger) == ("nothing", "it has not decided in the shadow yet")
    place = StrategyInstance.objects.get(strategy__name="trend")
    ShadowDecision.objects.create(
        version=challenger, instance=place, bar_open_at=timezone.now(), price=1, target=0, confidence=1,
        reason="X", decided_at=timezone.now(),
    )  # fmt: skip
    assert step(challenger)[0] == "canary"
    canary = Canary.objects.get()
    # A quarter of 3000 would be 750; the envelope has 200 at most.
    assert (canary.capital, canary.rules["cap"]) == (200, 200)
    assert step(challenger) == ("nothing", "the canary has not won yet")
    Canary.objects.update(state=Canary.State.WON, n=40, best_log_e=4.0)
    assert step(challenger)[0] == "champion"
    assert challenger.stage == Stage.CHAMPION
    moves = list(challenger.stage_changes.order_by("id").values_list("to_stage", "actor", "approval"))
    assert moves == [
        ("candidate", "test", ""),
        ("shadow", "autopromote", ""),
        ("canary", "autopromote", approval),
        ("champion", "autopromote", approval),
    ]
    last = challenger.stage_changes.order_by("-id")[0]
    assert (last.evidence["canary"], last.evidence["n"]) == (str(canary.uid), 40)
    assert Strategy.objects.get(name="trend").model_digest == challenger.digest
    assert StrategyInstance.objects.get(strategy__name="trend").allocation == 3000


def test_a_version_that_failed_the_gate_waits_for_a_person(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    envelope(challenger, people)
    verdict(challenger, passed=False)
    assert step(challenger) == ("nothing", f"{challenger} did not pass the gate: difference")
    assert challenger.stage == Stage.CANDIDATE
    assert GateVerdict.objects.count() == 1


def test_champions_keep_their_distance_and_an_envelope_may_stop_at_canaries(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    envelope(challenger, people, every_days=7)
    verdict(challenger, passed=True)
    step(challenger)
    place = StrategyInstance.objects.get(strategy__name="trend")
    ShadowDecision.objects.create(
        version=challenger, instance=place, bar_open_at=timezone.now(), price=1, target=0, confidence=1,
        reason="X", decided_at=timezone.now(),
    )  # fmt: skip
    step(challenger)
    Canary.objects.update(state=Canary.State.WON)
    assert step(challenger) == ("nothing", "the last champion is younger than 7 days")
    envelope(challenger, people, champion=False)
    assert step(challenger) == ("nothing", "its envelope names no champion")
    assert challenger.stage == Stage.CANARY


def test_no_move_to_money_without_an_approval(challenger: ModelVersion) -> None:
    with pytest.raises(ApplicationError, match="approved envelope"):
        move_within_envelope(
            version_id=challenger.pk,
            stage=Stage.CANARY,
            actor="machine",
            reason="why not",
            approval="",
            evidence={},
        )


def test_the_commands_ask_for_an_envelope_and_say_what_was_done(
    challenger: ModelVersion, people: tuple[User, User]
) -> None:
    name, out = challenger.family.name, io.StringIO()
    until = (timezone.now() + timedelta(days=3)).isoformat()
    words = ["--set", "canary=true", "--set", "most_capital=50", "--set", f"until={until}"]
    person = ["--requester", people[0].username, "--reason", "try"]
    call_command("models", "envelope", name, *words, *person, stdout=out)
    assert "waits for a risk officer" in out.getvalue()
    out = io.StringIO()
    call_command("models", "autopromote", "--json", stdout=out)
    assert json.loads(out.getvalue()) == []
    envelope(challenger, people)
    out = io.StringIO()
    call_command("models", "autopromote", "--json", stdout=out)
    assert json.loads(out.getvalue())[0]["did"] == "judged"
    call_command("models", "envelope", name, "--close", *person, stdout=io.StringIO())
    challenger.family.refresh_from_db()
    assert challenger.family.envelope["canary"] is False
