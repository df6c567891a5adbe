"""The tables of the models page."""

from __future__ import annotations

from governance.views.tables import Column, Table

VERSIONS = Table(
    "versions",
    "Versions",
    (
        Column("lamp", "Stage", "lamp"),
        Column("model", "Model"),
        Column("version", "Version", "count"),
        Column("states", "States", "count"),
        Column("bars", "Bars", "count"),
        Column("trained_to", "Trained to", "time"),
        Column("bic", "BIC", "decimal"),
        Column("drift", "Drift"),
        Column("digest", "Digest", "mono"),
        Column("created_at", "Registered", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/models",
    "No model is registered.",
    "Press “Train a model”, or run `manage.py train hmm --symbol BTCUSDT --interval 1h`.",
    tall=False,
)
TRAINING = Table(
    "training",
    "Training",
    (
        Column("state", "State", "status"),
        Column("model", "Model"),
        Column("asked_states", "States"),
        Column("seed", "Seed", "count"),
        Column("progress", "Progress", "bar"),
        Column("eta_s", "Left", "age"),
        Column("log_likelihood", "Log likelihood", "decimal"),
        Column("doing", "Now", wrap=True),
        Column("created_at", "Asked", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/models/jobs",
    "Nothing was trained here yet.",
    "Runs appear here while they are queued, running and over; each becomes a candidate.",
    tall=False,
)
VERDICTS = Table(
    "verdicts",
    "Gate verdicts",
    (
        Column("lamp", "Verdict", "lamp"),
        Column("model", "Model"),
        Column("version", "Version", "count"),
        Column("beside", "Beside"),
        Column("failed", "Did not pass", wrap=True),
        Column("progress", "Progress", "bar"),
        Column("doing", "Now", wrap=True),
        Column("at", "Asked", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/models/verdicts",
    "No version was judged yet.",
    "Press “Judge” beside a version: it is walked beside the champion over the stored bars.",
    tall=False,
)
CANARIES = Table(
    "canaries",
    "Canaries",
    (
        Column("lamp", "State", "lamp"),
        Column("model", "Model"),
        Column("version", "Version", "count"),
        Column("strategy", "Trades as"),
        Column("capital", "Capital", "money"),
        Column("intervals", "Intervals", "count"),
        Column("p_value", "p, always valid", "decimal"),
        Column("difference", "Mean difference, bps"),
        Column("rails", "Guard rails", wrap=True),
        Column("started_at", "Since", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/canaries",
    "No canary trades or has traded.",
    "A version past the gate becomes canary by request and approval; it trades a capped part of the capital.",
    tall=False,
)
SERVING = Table(
    "serving",
    "Who serves what",
    (
        Column("worker", "Worker", "mono"),
        Column("strategy", "Strategy"),
        Column("model", "Model"),
        Column("version", "Version", "count"),
        Column("digest", "Digest", "mono"),
        Column("since", "Since", "time"),
        Column("beat_at", "Last decision", "time"),
    ),
    "/api/v1/models/serving",
    "No worker has decided with a registered model yet.",
    "A strategy follows a model when its `model family` names one and a version of it is champion.",
    tall=False,
)
