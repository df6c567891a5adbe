from governance.models.capital import Allocation, AllocationRun, CapitalState
from governance.models.layouts import PageLayout
from governance.models.notifications import (
    EventCursor,
    NotificationChannel,
    NotificationDelivery,
    NotificationRoute,
)
from governance.models.playbooks import (
    AfterAction,
    ComplianceReport,
    GameDay,
    GuardianHour,
    Incident,
    IncidentEntry,
    Playbook,
    PlaybookAction,
    PlaybookRun,
    PlaybookWatch,
    Rehearsal,
)
from governance.models.policies import Policy, PolicyActivation, PolicyVersion
from governance.models.routing import RoutingDecision
from governance.models.rules import RuleCursor, RuleFiring
from governance.models.schedules import ScheduleRun, ScheduleState
from governance.models.table_views import DefaultView, TableView

__all__ = [
    "AfterAction",
    "Allocation",
    "AllocationRun",
    "CapitalState",
    "ComplianceReport",
    "DefaultView",
    "EventCursor",
    "GameDay",
    "GuardianHour",
    "Incident",
    "IncidentEntry",
    "NotificationChannel",
    "NotificationDelivery",
    "NotificationRoute",
    "PageLayout",
    "Playbook",
    "PlaybookAction",
    "PlaybookRun",
    "PlaybookWatch",
    "Policy",
    "PolicyActivation",
    "PolicyVersion",
    "Rehearsal",
    "RoutingDecision",
    "RuleCursor",
    "RuleFiring",
    "ScheduleRun",
    "ScheduleState",
    "TableView",
]
