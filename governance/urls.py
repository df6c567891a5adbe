"""Pages at the root, each with its state as JSON beside it."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from governance.api import capital, policies, weights
from governance.views.about import About
from governance.views.approvals import Approvals
from governance.views.blotter import Blotter
from governance.views.capital import Capital
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
    ("capital/", Capital),
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
api_urlpatterns: list[URLPattern | URLResolver] = [
    path("policies", policies.PolicyListView.as_view(), name="api-policies"),
    path("policies/<slug:name>", policies.PolicyDetailView.as_view(), name="api-policy"),
    path("policies/<slug:name>/revert", policies.PolicyRevertView.as_view(), name="api-policy-revert"),
    path("allocations", capital.AllocationListView.as_view(), name="api-allocations"),
    path("allocations/runs", capital.AllocationRunListView.as_view(), name="api-allocation-runs"),
    path(
        "allocations/runs/<int:pk>/request",
        capital.AllocationRequestView.as_view(),
        name="api-allocation-request",
    ),
    path("strategy/weights", weights.WeightsView.as_view(), name="api-strategy-weights"),
    path("strategy/routing", weights.RoutingListView.as_view(), name="api-strategy-routing"),
    path("strategy/promote", weights.PromoteByTagView.as_view(), name="api-strategy-promote"),
    path("allocations/reset", capital.AllocationResetView.as_view(), name="api-allocation-reset"),
]
