"""Pages at the root, each with its state as JSON beside it."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from governance.api import (
    audit_export,
    capital,
    game_days,
    notifications,
    playbooks,
    policies,
    schedules,
    table_views,
    weights,
)
from governance.views.about import About
from governance.views.approvals import Approvals
from governance.views.audit import Audit
from governance.views.blotter import Blotter
from governance.views.capital import Capital
from governance.views.command_center import CommandCenter
from governance.views.layouts import LayoutView, RoleLayoutView
from governance.views.models import Models
from governance.views.notifications import Notifications
from governance.views.ops import Ops
from governance.views.page import Page, PageState, table_shapes
from governance.views.people import People
from governance.views.playbooks import IncidentState, Playbooks
from governance.views.policies import Policies
from governance.views.reconcile import Reconcile
from governance.views.research import Research, ResearchReport
from governance.views.risk import Risk
from governance.views.role_views import RoleView
from governance.views.schedules import Schedules
from governance.views.strategies import Strategies

_PAGES: tuple[tuple[str, type[Page]], ...] = (
    ("", CommandCenter),
    ("orders/", Blotter),
    ("strategies/", Strategies),
    ("risk/", Risk),
    ("capital/", Capital),
    ("policies/", Policies),
    ("models/", Models),
    ("reconcile/", Reconcile),
    ("research/", Research),
    ("approvals/", Approvals),
    ("playbooks/", Playbooks),
    ("audit/", Audit),
    ("people/", People),
    ("notifications/", Notifications),
    ("schedules/", Schedules),
    ("ops/", Ops),
    ("about/", About),
)

_SHAPES = table_shapes(page for _, page in _PAGES)

urlpatterns: list[URLPattern | URLResolver] = [
    *(path(route, page.as_view(), name=page.name) for route, page in _PAGES),
    *(path(f"state/{page.name}/", PageState.of(page), name=f"{page.name}-state") for _, page in _PAGES),
    path("state/incidents/<int:pk>/", IncidentState.as_view(), name="incident-state"),
    path("research/report/", ResearchReport.as_view(), name="research-report"),
]
api_urlpatterns: list[URLPattern | URLResolver] = [
    path("roles/<slug:role>", RoleView.as_view(), name="api-role"),
    path("layouts/<slug:page>", LayoutView.as_view(), name="api-layout"),
    path("layouts/<slug:page>/roles/<slug:role>", RoleLayoutView.as_view(), name="api-layout-role"),
    path("policies", policies.PolicyListView.as_view(), name="api-policies"),
    path("policies/firings", policies.FiringListView.as_view(), name="api-policy-firings"),
    path("policies/<slug:name>/check", policies.PolicyCheckView.as_view(), name="api-policy-check"),
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
    path("leaderboard", capital.LeaderboardView.as_view(), name="api-leaderboard"),
    path("allocations/what-if", capital.AllocationWhatIfView.as_view(), name="api-allocation-what-if"),
    path("allocations/reset", capital.AllocationResetView.as_view(), name="api-allocation-reset"),
    path("notifications/channels", notifications.ChannelListView.as_view(), name="api-notification-channels"),
    path(
        "notifications/channels/<slug:name>/test",
        notifications.ChannelTestView.as_view(),
        name="api-notification-test",
    ),
    path(
        "notifications/channels/<slug:name>/mute",
        notifications.ChannelMuteView.as_view(),
        name="api-notification-mute",
    ),
    path(
        "notifications/channels/<slug:name>/enable",
        notifications.ChannelEnableView.as_view(),
        name="api-notification-enable",
    ),
    path(
        "notifications/channels/<slug:name>/disable",
        notifications.ChannelDisableView.as_view(),
        name="api-notification-disable",
    ),
    path("notifications/routes", notifications.RouteListView.as_view(), name="api-notification-routes"),
    path(
        "notifications/deliveries",
        notifications.DeliveryListView.as_view(),
        name="api-notification-deliveries",
    ),
    path(
        "notifications/deliveries/<int:pk>",
        notifications.DeliveryDetailView.as_view(),
        name="api-notification-delivery",
    ),
    path("playbooks", playbooks.PlaybookListView.as_view(), name="api-playbooks"),
    path("playbooks/game-days", game_days.GameDayListView.as_view(), name="api-game-days"),
    path(
        "playbooks/game-days/<int:pk>/cancel",
        game_days.GameDayCancelView.as_view(),
        name="api-game-day-cancel",
    ),
    path("playbooks/rehearsals", playbooks.RehearsalListView.as_view(), name="api-rehearsals"),
    path("playbooks/<slug:name>", playbooks.PlaybookDetailView.as_view(), name="api-playbook"),
    path("playbooks/<slug:name>/rehearse", playbooks.RehearseView.as_view(), name="api-playbook-rehearse"),
    path("incidents", playbooks.IncidentListView.as_view(), name="api-incidents"),
    path("incidents/<int:pk>", playbooks.IncidentDetailView.as_view(), name="api-incident"),
    path("incidents/<int:pk>/review", playbooks.IncidentReviewView.as_view(), name="api-incident-review"),
    path(
        "incidents/<int:pk>/after-action",
        playbooks.IncidentAfterActionView.as_view(),
        name="api-incident-after-action",
    ),
    path("incidents/<int:pk>/undo", playbooks.IncidentUndoView.as_view(), name="api-incident-undo"),
    path("incidents/<int:pk>/close", playbooks.IncidentCloseView.as_view(), name="api-incident-close"),
    path("audit/export", audit_export.AuditExportView.as_view(), name="api-audit-export"),
    path("views", table_views.TableViewListView.as_view(shapes=_SHAPES), name="api-views"),
    path("views/<int:pk>", table_views.TableViewDetailView.as_view(shapes=_SHAPES), name="api-view"),
    path("schedules", schedules.ScheduleListView.as_view(), name="api-schedules"),
    path("schedules/runs", schedules.ScheduleRunListView.as_view(), name="api-schedule-runs"),
    path("schedules/<int:pk>/run", schedules.ScheduleRunView.as_view(), name="api-schedule-run"),
    path("schedules/<int:pk>", schedules.ScheduleDetailView.as_view(), name="api-schedule"),
    path("compliance/<slug:day>", playbooks.ComplianceDownloadView.as_view(), name="api-compliance-download"),
    path("compliance", playbooks.ComplianceListView.as_view(), name="api-compliance"),
]
