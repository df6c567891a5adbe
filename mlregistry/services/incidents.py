"""Calling people because of a model: an incident of its own, told on every channel a route of which covers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlregistry.models import ModelVersion
from nautilus_site.common.services.outbox import publish
from trading import metrics


def people_call(
    version: ModelVersion, *, kind: str, severity: str, title: str, text: str, evidence: Mapping[str, Any]
) -> None:
    """Publish an incident about a version; governance opens it and tells the channels. In the caller's transaction.

    Parameters
    ----------
    severity : `warning`, or `critical`, which goes past digests and mutes.
    """
    metrics.INCIDENTS.labels(kind=kind).inc()
    publish(
        "incidents",
        {
            "kind": kind,
            "scope": f"model:{version.family.name}@{version.number}",
            "severity": severity,
            "title": title,
            "text": text,
            "evidence": dict(evidence),
        },
    )
