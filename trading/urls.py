"""The trading routes under /api/v1/."""

from __future__ import annotations

from django.urls import path

from trading.api import (
    blackouts,
    brackets,
    controls,
    orders,
    portfolio,
    reconcile,
    research,
    signals,
    status,
    strategies,
)

api_urlpatterns = [
    path("orders", orders.OrderListView.as_view(), name="api-orders"),
    path("orders/<uuid:uid>", orders.OrderDetailView.as_view(), name="api-order"),
    path("orders/<uuid:uid>/explain", orders.OrderExplainView.as_view(), name="api-order-explain"),
    path("brackets", brackets.BracketListView.as_view(), name="api-brackets"),
    path("brackets/<int:pk>", brackets.BracketDetailView.as_view(), name="api-bracket"),
    path("brackets/<int:pk>/move", brackets.BracketMoveView.as_view(), name="api-bracket-move"),
    path("fills", portfolio.FillListView.as_view(), name="api-fills"),
    path("positions", portfolio.PositionListView.as_view(), name="api-positions"),
    path("portfolio", portfolio.PortfolioView.as_view(), name="api-portfolio"),
    path("equity", portfolio.EquityView.as_view(), name="api-equity"),
    path("balances", portfolio.BalanceListView.as_view(), name="api-balances"),
    path("accounts", portfolio.AccountListView.as_view(), name="api-accounts"),
    path("decisions", strategies.DecisionListView.as_view(), name="api-decisions"),
    path("status", status.StatusView.as_view(), name="api-status"),
    path("kill", controls.KillView.as_view(), name="api-kill"),
    path("resume", controls.ResumeView.as_view(), name="api-resume"),
    path("limits", controls.LimitListView.as_view(), name="api-limits"),
    path("limits/<slug:name>", controls.LimitDetailView.as_view(), name="api-limit"),
    path("breakers", controls.BreakerListView.as_view(), name="api-breakers"),
    path("breakers/<int:pk>/reset", controls.BreakerResetView.as_view(), name="api-breaker-reset"),
    path("breakers/<int:pk>/open", controls.BreakerOpenView.as_view(), name="api-breaker-open"),
    path("blackouts", blackouts.BlackoutListView.as_view(), name="api-blackouts"),
    path("blackouts/<int:pk>/end", blackouts.BlackoutEndView.as_view(), name="api-blackout-end"),
    path("strategy/", strategies.StrategyListView.as_view(), name="api-strategies"),
    path("strategy/signal", signals.SignalView.as_view(), name="api-strategy-signal"),
    path("strategy/<slug:name>", strategies.StrategyDetailView.as_view(), name="api-strategy"),
    path(
        "strategy/<slug:name>/instances",
        strategies.StrategyInstancesView.as_view(),
        name="api-strategy-instances",
    ),
    path("strategy/<slug:name>/grant", strategies.StrategyGrantView.as_view(), name="api-strategy-grant"),
    path(
        "strategy/<slug:name>/enable",
        strategies.StrategyEnableView.as_view(),
        name="api-strategy-enable",
    ),
    path(
        "strategy/<slug:name>/disable",
        strategies.StrategyDisableView.as_view(),
        name="api-strategy-disable",
    ),
    path("strategy-kinds", research.StrategyKindsView.as_view(), name="api-strategy-kinds"),
    path("backtests", research.BacktestListView.as_view(), name="api-backtests"),
    path("backtests/compare", research.BacktestCompareView.as_view(), name="api-backtests-compare"),
    path("backtests/<uuid:uid>", research.BacktestDetailView.as_view(), name="api-backtest"),
    path(
        "backtests/<uuid:uid>/cancel",
        research.BacktestActionView.as_view(action="cancel"),
        name="api-backtest-cancel",
    ),
    path(
        "backtests/<uuid:uid>/resume",
        research.BacktestActionView.as_view(action="resume"),
        name="api-backtest-resume",
    ),
    path("reconcile", reconcile.ReconcileView.as_view(), name="api-reconcile"),
    path("reconcile/divergences", reconcile.DivergenceListView.as_view(), name="api-divergences"),
    path(
        "reconcile/divergences/<int:pk>/adopt",
        reconcile.DivergenceAdoptView.as_view(),
        name="api-divergence-adopt",
    ),
    path("reconcile/statements", reconcile.StatementListView.as_view(), name="api-statements"),
    path("reconcile/runs", reconcile.ReconcileRunListView.as_view(), name="api-reconcile-runs"),
    path("reconcile/runs/<int:pk>", reconcile.ReconcileRunDetailView.as_view(), name="api-reconcile-run"),
]
