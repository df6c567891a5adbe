"""Tables of the pages about people: decided requests, the audit trail, persons, tokens, keys."""

from __future__ import annotations

from governance.views.tables import Column, Table
from nautilus_site.common.models import Role

AUDIT = Table(
    "entries",
    "Entries, newest first",
    (
        Column("at", "Time", "time"),
        Column("actor", "Who"),
        Column("action_name", "Did", "mono"),
        Column("target", "To", "mono"),
        Column("summary", "What changed", wrap=True),
        Column("reason", "Reason", wrap=True),
        Column("sealed", "Chain", "lamp"),
        Column("action", "", "action"),
    ),
    "/api/v1/audit",
    "No entry matches.",
    "Every change is written here in its own transaction; clear the search to see all.",
    tall=False,
    follows=("actor", "action", "target", "request_id", "since", "until"),
)
PEOPLE = Table(
    "people",
    "People",
    (
        Column("state", "State", "lamp"),
        Column("username", "Name"),
        Column("role_name", "Role"),
        Column("factor", "Second factor", "lamp"),
        Column("last_login", "Last log-in", "time"),
        Column("joined", "Since", "time"),
        Column("away_until", "Away until", "time"),
        Column("pending", "Requests"),
        Column("action", "", "action"),
    ),
    "/api/v1/approvals?kind=user.change",
    "Nobody is here.",
    "An admin proposes people, a risk officer approves them.",
    tall=False,
)
TOKENS = Table(
    "tokens",
    "API tokens",
    (
        Column("state", "State", "lamp"),
        Column("username", "Of"),
        Column("name", "Name"),
        Column("scopes", "May", wrap=True),
        Column("addresses", "From"),
        Column("created_at", "Made", "time"),
        Column("expires_at", "Expires", "time"),
        Column("last_used_at", "Last used", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/tokens",
    "No token was made.",
    "“New token…” makes one for a script; its text is shown once, and its scopes narrow what your role may.",
    tall=False,
)
KEYS = Table(
    "keys",
    "Exchange keys",
    (
        Column("account", "Account"),
        Column("venue", "Venue"),
        Column("purpose", "For"),
        Column("last_four", "Ends in", "mono"),
        Column("use", "Use", "lamp"),
        Column("age_s", "Age", "age"),
        Column("rotation_due", "To be replaced", "lamp"),
        Column("rotate_by", "By", "time"),
        Column("test", "Looked at", "lamp", wrap=True),
        Column("tested_age_s", "Ago", "age"),
        Column("probe", "Approved last", "lamp", wrap=True),
        Column("pending", "Requests"),
        Column("action", "", "action"),
    ),
    "/api/v1/credentials",
    "No key is stored.",
    "An admin proposes one, sealed at once; a risk officer decides.",
    tall=False,
)
SESSIONS = Table(
    "sessions",
    "Sessions",
    (
        Column("mark", "State", "lamp"),
        Column("user", "Of"),
        Column("opened_at", "Since", "time"),
        Column("seen_at", "Last used", "time"),
        Column("address", "From", "mono"),
        Column("agent", "With", wrap=True),
        Column("ends_at", "Ends", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/sessions",
    "Nobody is logged in.",
    "Browsers that are logged in are listed here; end the one you do not know, and change your password.",
    tall=False,
)
VIEWS = Table(
    "views",
    "What the role sees and may do",
    (
        Column("method", "Does", "mono"),
        Column("path", "Where", "mono"),
        Column("does", "What", wrap=True),
        Column("permission", "Needs", "mono"),
        Column("by", "Used by"),
    ),
    "/api/docs/",
    "Choose a role.",
    "Every route of the API a role is let through; some ask once more, by whether what is sent loosens or tightens.",
)
MATRIX = Table(
    "matrix",
    "What each role may do",
    (
        Column("permission", "Permission", "mono"),
        Column("meaning", "Lets one", wrap=True),
        *(Column(role.value, str(role.label).capitalize()) for role in Role),
        Column("by", "Used by"),
    ),
    "/api/docs/",
    "No permission is declared.",
    "The table of nautilus_site/common/roles.py is the only place that decides.",
    tall=False,
)
HISTORY = Table(
    "history",
    "Decided, expired and void",
    (
        Column("created_at", "Requested", "time"),
        Column("state", "State", "status"),
        Column("kind", "Kind"),
        Column("target", "Target"),
        Column("requester", "Requester"),
        Column("approver", "Decided by"),
        Column("reason", "Reason", wrap=True),
        Column("note", "Note", wrap=True),
        Column("decided_at", "Decided", "time"),
        Column("action", "", "action"),
    ),
    "/api/v1/approvals",
    "Nothing was decided yet.",
    "Requests that were approved, rejected, or ran out of time are kept here.",
)
DUTIES = Table(
    "duties",
    "Who may ask for and decide about each kind",
    (
        Column("state", "Now", "lamp", wrap=True),
        Column("kind", "Kind", "mono"),
        Column("asks", "Asked for by", wrap=True),
        Column("may_ask", "May ask", "number"),
        Column("decides", "Decided by", wrap=True),
        Column("may_decide", "May decide", "number"),
    ),
    "/api/v1/approvals/duties",
    "Nothing to show.",
    "Risk officers and admins see which kinds two different people could ask for and decide about now.",
    tall=False,
)
DECISIONS = Table(
    "decisions",
    "Who decided whose requests, last 90 days",
    (
        Column("requester", "Asked"),
        Column("approver", "Decided"),
        Column("applied", "Applied", "number"),
        Column("rejected", "Rejected", "number"),
        Column("median_s", "Median, s", "number"),
        Column("fastest_s", "Fastest, s", "number"),
    ),
    "/api/v1/approvals/duties",
    "Nobody decided anything in the last 90 days.",
    "One who always decides about the same person, or within seconds, is worth a question.",
    tall=False,
)
