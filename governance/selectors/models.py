"""Models, training and who serves what."""

from __future__ import annotations

from typing import Any

from governance.selectors.shell import shell_state
from mlregistry.domain.stages import Stage
from mlregistry.selectors.canaries import canary_members, canary_queryset
from mlregistry.selectors.drift import drift_newest
from mlregistry.selectors.verdicts import verdict_members, verdict_queryset
from mlregistry.selectors.versions import (
    run_members,
    run_queryset,
    serving_members,
    version_members,
    version_queryset,
)

_VERSIONS, _RUNS = 200, 50
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
        "canaries": [_canary(row) for row in canary_queryset()[:_RUNS]],
        "verdicts": [_verdict(row) for row in verdict_queryset()[:_RUNS]],
        "serving": [
            {**row, "id": f"{row['worker']} {row['strategy']}", "digest": row["digest"][:12]}
            for row in serving_members()
        ],
    }


def _versions() -> list[dict[str, Any]]:
    rows = list(version_queryset().order_by("-id")[:_VERSIONS])
    drift = drift_newest([row.pk for row in rows])
    return [{**_version(row), "drift": drift[row.pk].verdict if row.pk in drift else None} for row in rows]


def _version(row: Any) -> dict[str, Any]:
    members = version_members(row)
    return {
        "id": members["id"],
        "lamp": {"tone": _TONES[Stage(members["stage"])], "text": members["stage"]},
        "stage": members["stage"],
        "model": members["model"],
        "version": members["version"],
        "states": members["states"],
        "bars": members["dataset"]["bars"],
        "trained_to": members["dataset"]["end_at"],
        "bic": members["metrics"].get("bic"),
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
        "model": members["model"],
        "version": members["version"],
        "version_id": members["version_id"],
        "strategy": members["strategy"],
        "capital": members["capital"],
        "intervals": members["intervals"],
        "p_value": members["p_value"],
        "difference": None if None in ends else " to ".join(f"{end * 1e4:.1f}" for end in ends),
        "rails": members["reason"]
        or ", ".join(f"{one['name']} breached" for one in members["rails"] if one["breached"])
        or ("all hold" if members["rails"] else "not measured yet"),
        "started_at": members["started_at"],
    }


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
        "log_likelihood": trace[-1] if trace else None,
        "eta_s": members["eta_s"],
        "asked_states": members["asked"]["states"] or "auto",
        "seed": members["asked"]["seed"],
        "created_at": members["created_at"],
    }
