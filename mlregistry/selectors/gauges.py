"""What Prometheus hears of models: which is in force, what it believes, whether it drifted, how a canary stands."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from mlregistry.domain.stages import Stage
from mlregistry.models import Canary, ModelVersion
from mlregistry.selectors.drift import drift_newest
from mlregistry.selectors.truth import truth_newest
from trading.models import Decision, StrategyInstance

_VOTES = ("p_ma", "p_hmm")  # of an ensemble: opinions, not states
_DRIFT = {"stable": 0, "watch": 1, "alarm": 2}


def model_gauges() -> Iterator[Metric]:
    """Everything about models that is read at a scrape. Labels are families, states and what decides now."""
    watched = list(
        ModelVersion.objects.filter(stage__in=(Stage.CHAMPION, Stage.CANARY, Stage.SHADOW))
        .select_related("family")
        .order_by("family__name", "number")
    )
    info = GaugeMetricFamily(
        "model_version_info", "1 for the version in force.", labels=["model", "version", "digest"]
    )
    for row in watched:
        if row.stage == Stage.CHAMPION:
            info.add_metric([row.family.name, str(row.number), row.digest[:12]], 1)
    yield info
    yield _probabilities()
    ids = [row.pk for row in watched]
    drift, truth = drift_newest(ids), truth_newest(ids)
    drifted = GaugeMetricFamily(
        "model_drift_state",
        "Newest drift report: 0 stable, 1 watch, 2 alarm.",
        labels=["model", "version", "stage"],
    )
    accuracy = GaugeMetricFamily(
        "model_truth_accuracy",
        "Share of bars whose likeliest state was the paper exchange's true regime.",
        labels=["model", "version", "stage"],
    )
    for row in watched:
        labels = [row.family.name, str(row.number), row.stage]
        if row.pk in drift:
            drifted.add_metric(labels, _DRIFT[drift[row.pk].verdict])
        if row.pk in truth:
            accuracy.add_metric(labels, truth[row.pk].accuracy)
    yield drifted
    yield accuracy
    evidence = GaugeMetricFamily(
        "canary_log_e", "Evidence that a canary is better than its champion, nats.", labels=["model"]
    )
    for canary in Canary.objects.filter(ended_at=None).select_related("version__family"):
        if canary.log_e is not None:
            evidence.add_metric([canary.version.family.name], canary.log_e)
    yield evidence


def _probabilities() -> Metric:
    """By which each champion's follower decided last."""
    found = GaugeMetricFamily(
        "regime_probability",
        "Filtered probability of a state at the last decision by it.",
        labels=["model", "symbol", "state"],
    )
    places = (
        StrategyInstance.objects.filter(is_enabled=True, strategy__model_stage="champion")
        .exclude(strategy__model_family="")
        .select_related("strategy", "instrument")
        .order_by("pk")
    )
    told: set[tuple[str, str]] = set()
    for place in places:
        key = place.strategy.model_family, place.instrument.symbol
        newest = Decision.objects.filter(instance=place).order_by("-bar_open_at", "-id").first()
        if newest is None or key in told:
            continue
        told.add(key)
        for name, value in newest.features.items():
            if name.startswith("p_") and name not in _VOTES:
                found.add_metric([*key, name.removeprefix("p_")], float(value))
    return found
