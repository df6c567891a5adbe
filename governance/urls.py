"""Pages at the root, each with its state as JSON beside it."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from governance.views.about import About
from governance.views.approvals import Approvals
from governance.views.blotter import Blotter
from governance.views.command_center import CommandCenter
from governance.views.models import Models
from governance.views.ops import Ops
from governance.views.page import Page, PageState
from governance.views.reconcile import Reconcile
from governance.views.research import Research, ResearchReport
from governance.views.risk import Risk
from governance.views.strategies import Strategies

_PAGES: tuple[tuple[str, type[Page]], ...] = (
    ("", CommandCenter),
    ("orders/", Blotter),
    ("strategies/", Strategies),
    ("risk/", Risk),
    ("models/", Models),
    ("reconcile/", Reconcile),
    ("research/", Research),
    ("approvals/", Approvals),
    ("ops/", Ops),
    ("about/", About),
)

urlpatterns: list[URLPattern | URLResolver] = [
    *(path(route, page.as_view(), name=page.name) for route, page in _PAGES),
    *(path(f"state/{page.name}/", PageState.of(page), name=f"{page.name}-state") for _, page in _PAGES),
    path("research/report/", ResearchReport.as_view(), name="research-report"),
]
api_urlpatterns: list[URLPattern | URLResolver] = []
