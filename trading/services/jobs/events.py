"""Telling pages and streams how a job stands."""

from __future__ import annotations

from nautilus_site.common.services.outbox import publish
from trading.models import ResearchJob
from trading.selectors.research import job_members


def job_publish(job: ResearchJob) -> None:
    """Send the state of a job as an event of the topic `research`."""
    publish("research", job_members(job, brief=True))
