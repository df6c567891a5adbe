"""Research jobs and counted trials, to be read; stopping and resuming jobs; backtesting what runs live."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.powers import person_may
from trading.admin.facts import FactAdmin
from trading.models import ResearchJob, StrategyInstance, TrialTally

RUN = "backtests.run"


def may_run(request: HttpRequest) -> bool:
    """Whether this person may run backtests."""
    return person_may(request.user, RUN)


def carried_out(
    request: HttpRequest,
    objects: QuerySet[Any],
    act: Callable[[Any, User], Any],
    *,
    name: str,
    title: str,
    effect: str,
    may: Callable[[HttpRequest], bool] | None = None,
) -> HttpResponse | None:
    """Ask for confirmation, then call the service once for each object; its error becomes the message."""
    if not (may or may_run)(request) or not isinstance(request.user, User):
        raise PermissionDenied
    if request.POST.get("confirmed") != "yes":
        context = {
            **admin.site.each_context(request),
            "title": title,
            "effect": effect,
            "objects": objects,
            "action": name,
        }
        return TemplateResponse(request, "admin/trading/confirm_action.html", context)
    for item in objects:
        try:
            done = act(item, request.user)
        except ApplicationError as error:
            messages.error(request, f"{item}: {error.message}")
        else:
            messages.success(request, f"{done}: {done.state}")
    return None


@admin.action(description="Backtest on the stored bars")
def backtest_selected(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[StrategyInstance]
) -> HttpResponse | None:
    """Ask for a backtest of each instance's strategy, with its parameters in force, on its symbol."""
    from trading.services.jobs import job_create, job_of_instance

    return carried_out(
        request,
        queryset.select_related("strategy", "instrument", "account"),
        lambda instance, person: job_create(request=job_of_instance(instance), actor=person),
        name="backtest_selected",
        title="Backtest on the stored bars",
        effect="Workers run each over all stored bars of its symbol and interval. Trading is not touched.",
    )


@admin.register(ResearchJob)
class ResearchJobAdmin(FactAdmin):
    """Backtests and sweeps; their stored runs are not shown here."""

    list_display = (
        "title", "kind", "state", "done", "total", "engine", "requested_by", "created_at", "finished_at",
    )  # fmt: skip
    list_filter = ("state", "kind")
    list_select_related = ("requested_by",)
    search_fields = ("title", "=uid")
    exclude = ("checkpoint", "ledger")
    actions = ("cancel_selected", "resume_selected")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).defer("checkpoint", "ledger")
        return rows

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return super().get_actions(request) if may_run(request) else {}

    @admin.action(description="Stop")
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[ResearchJob]) -> HttpResponse | None:
        """Stop jobs; what was run of them stays."""
        from trading.services.jobs import job_cancel

        return carried_out(
            request,
            queryset,
            lambda job, person: job_cancel(uid=job.uid, actor=person),
            name="cancel_selected",
            title="Stop",
            effect="What was run stays, and can go on later.",
        )

    @admin.action(description="Go on")
    def resume_selected(self, request: HttpRequest, queryset: QuerySet[ResearchJob]) -> HttpResponse | None:
        """Let stopped and failed jobs go on."""
        from trading.services.jobs import job_resume

        return carried_out(
            request,
            queryset,
            lambda job, person: job_resume(uid=job.uid, actor=person),
            name="resume_selected",
            title="Go on",
            effect="Each goes on from where it was stopped.",
        )


@admin.register(TrialTally)
class TrialTallyAdmin(FactAdmin):
    """Sweeps that were run: what best results are deflated by."""

    list_display = ("at", "strategy", "symbol", "interval", "count", "effective", "grid")
    list_filter = ("strategy", "symbol")
