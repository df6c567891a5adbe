"""Models, training and who serves what."""

from __future__ import annotations

from typing import Any

from governance.selectors.shell import shell_state
from mlregistry.domain.stages import Stage
from mlregistry.selectors.canaries import canary_members, canary_queryset
from mlregistry.selectors.drift import drift_newest
from mlregistry.selectors.rollbacks import rollback_members
from mlregistry.selectors.studies import study_members, study_queryset
from mlregistry.selectors.truth import truth_newest
from mlregistry.selectors.verdicts import verdict_members, verdict_queryset
from mlregistry.selectors.versions import (
    run_members,
    run_queryset,
    serving_members,
    version_members,
    version_queryset,
)

_VERSIONS, _RUNS, _STUDIES = 200, 50, 20
_TRACE = 60
_TONES = {
    Stage.CHAMPION: "good",
    Stage.CANARY: "warn",
    Stage.SHADOW: "warn",
    Stage.CANDIDATE: "off",
    Stage.RETIRED: "off",
}


def models_state() -> dict[str, Any]:
    """The state of the models page."""
    return {
        **shell_state(),
        "versions": _versions(),
        "training": [_run(row) for row in run_queryset().order_by("-id")[:_RUNS]],
        "studies": [_study(row) for row in study_queryset()[:_STUDIES]],
        "canaries": [_canary(row) for row in canary_queryset()[:_RUNS]],
        "verdicts": [_verdict(row) for row in verdict_queryset()[:_RUNS]],
        "serving": [
            {**row, "id": f"{row['worker']} {row['strategy']}", "digest": row["digest"][:12]}
            for row in serving_members()
        ],
    }


def _versions() -> list[dict[str, Any]]:
    rows = list(version_queryset().order_by("-id")[:_VERSIONS])
    ids = [row.pk for row in rows]
    drift, truth = drift_newest(ids), truth_newest(ids)
    return [
        {
            **_version(row),
            "drift": drift[row.pk].verdict if row.pk in drift else None,
            "truth": round(truth[row.pk].accuracy, 4) if row.pk in truth else None,
        }
        for row in rows
    ]


def _version(row: Any) -> dict[str, Any]:
    members = version_members(row)
    return {
        "id": members["id"],
        "lamp": {"tone": _TONES[Stage(members["stage"])], "text": members["stage"]},
        "stage": members["stage"],
        "rollback": rollback_members(row),
        "model": members["model"],
        "version": members["version"],
        "states": members["states"],
        "bars": members["dataset"]["bars"],
        "trained_to": members["dataset"]["end_at"],
        "bic": _rounded(members["metrics"].get("bic"), 1),
        "digest": members["digest"][:12],
        "created_at": members["created_at"],
    }


_CANARY_TONES = {"running": "warn", "won": "good", "harmed": "bad", "breached": "bad", "ended": "off"}


def _canary(row: Any) -> dict[str, Any]:
    members = canary_members(row)
    ends = (members["low"], members["high"])
    return {
        "id": members["id"],
        "lamp": {"tone": _CANARY_TONES[members["state"]], "text": members["state"]},
        "open": members["ended_at"] is None,
        "undecided": members["state"] == "running",
        "ends": None if members["standing"] is None else f"in {_span(members['standing']['ends_in_s'])}",
        "model": members["model"],
        "version": members["version"],
        "version_id": members["version_id"],
        "strategy": members["strategy"],
        "step": _step(members),
        "capital": members["capital"],
        "intervals": members["intervals"],
        "evidence": _evidence(members),
        "left": _left(members),
        "p_value": _rounded(members["p_value"], 4),
        "difference": None if None in ends else " to ".join(f"{end * 1e4:.1f}" for end in ends),
        "rails": members["reason"]
        or ", ".join(f"{one['name']} breached" for one in members["rails"] if one["breached"])
        or (f"all {len(members['rails'])} hold" if members["rails"] else "not measured yet"),
        "started_at": members["started_at"],
    }


def _step(members: dict[str, Any]) -> str:
    standing = members["standing"]
    if standing is None:
        return f"{members['step']}"
    return f"{members['step']} of {standing['steps']}, {standing['share'] * 100:g} % of the capital"


def _evidence(members: dict[str, Any]) -> str | None:
    """Log e beside what it takes to win; before the test speaks, how many pairs it still waits for."""
    standing = members["standing"]
    if standing is None:
        return None if members["log_e"] is None else f"{members['log_e']:.2f}"
    if members["log_e"] is None:
        return f"speaks from {standing['pairs_needed']} pairs on"
    grows = "" if standing["grows_at"] is None else f", grows at {standing['grows_at']:.2f}"
    return f"{members['log_e']:.2f}, wins at {standing['wins_at']:.2f}{grows}"


def _left(members: dict[str, Any]) -> str | None:
    """What this step still asks for, and when all of it ends."""
    standing = members["standing"]
    if standing is None:
        return None
    asks = []
    if standing["dwell_left_s"] > 0:
        asks.append(f"{_span(standing['dwell_left_s'])} of this step")
    if standing["fills"] < standing["fills_needed"]:
        asks.append(f"{standing['fills_needed'] - standing['fills']} fills")
    return f"{' and '.join(asks) or 'nothing but evidence'}; over in {_span(standing['ends_in_s'])}"


def _span(seconds: float) -> str:
    for limit, divisor, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{round(seconds / divisor)} {unit}"
    return f"{round(seconds / 86_400)} d"


def _study(row: Any) -> dict[str, Any]:
    members = study_members(row)
    asked = members["asked"]
    symbols = ", ".join(sorted({str(one["symbol"]) for one in asked["models"]}))
    states = ", ".join("auto" if one is None else str(one) for one in asked["states"])
    failed = members["by_state"].get("failed", 0)
    return {
        "id": members["id"],
        "state": members["state"],
        "symbols": symbols,
        "asked_states": states,
        "seeds": ", ".join(str(one) for one in asked["seeds"]),
        "over": f"{members['ended']} of {members['runs']}{f', {failed} failed' if failed else ''}",
        "progress": members["progress"],
        "created_at": members["created_at"],
        "finished_at": members["finished_at"],
    }


def _rounded(value: float | None, places: int) -> str | None:
    """As plain text: a float's own digits say more than is known."""
    return None if value is None else f"{value:.{places}f}"


def _verdict(row: Any) -> dict[str, Any]:
    members = verdict_members(row)
    over = members["state"] == "done"
    word = ("passed" if members["passed"] else "not passed") if over else members["state"]
    tone = ("good" if members["passed"] else "bad") if over else "off"
    return {
        "id": members["id"],
        "lamp": {"tone": tone, "text": word},
        "state": members["state"],
        "model": members["model"],
        "version": members["version"],
        "version_id": members["version_id"],
        "beside": "nothing" if members["champion"] is None else f"version {members['champion']}",
        "failed": ", ".join(
            one["name"].replace("_", " ") for one in members["criteria"] if not one["passed"]
        ),
        "progress": members["progress"],
        "doing": members["error"] or ("" if members["finished_at"] else members["stage"]),
        "at": members["created_at"],
    }


def _run(row: Any) -> dict[str, Any]:
    members = run_members(row)
    trace = members["log_likelihood"]
    return {
        "id": members["id"],
        "state": members["state"],
        "model": members["model"],
        "progress": members["progress"],
        "doing": members["error"] or members["stage"],
        "log_likelihood": trace[-_TRACE:],
        "eta_s": members["eta_s"],
        "asked_states": members["asked"]["states"] or "auto",
        "seed": members["asked"]["seed"],
        "created_at": members["created_at"],
    }
