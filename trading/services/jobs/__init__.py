"""Research as jobs: asked for by people, advanced in pieces by any worker, comparable afterwards."""

from trading.services.jobs.asking import job_cancel, job_create, job_of_instance, job_request, job_resume
from trading.services.jobs.parts import job_walk
from trading.services.jobs.record import job_record, job_result
from trading.services.jobs.stepping import job_step, jobs_hint, part_step

__all__ = [
    "job_cancel",
    "job_create",
    "job_of_instance",
    "job_record",
    "job_request",
    "job_result",
    "job_resume",
    "job_step",
    "job_walk",
    "jobs_hint",
    "part_step",
]
