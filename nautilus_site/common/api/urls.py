"""The shared edge's own routes under /api/v1/."""

from __future__ import annotations

from django.urls import path

from nautilus_site.common.api.approval_threads import BulkRejectView, CommentListView, DutiesView
from nautilus_site.common.api.approvals import ApprovalDetailView, ApprovalListView, ApproveView, RejectView
from nautilus_site.common.api.audit import (
    AuditListView,
    AuditVerifyView,
    VerificationDetailView,
    VerificationListView,
)
from nautilus_site.common.api.hand_overs import (
    AbsenceListView,
    BulkHandOverView,
    HandOverView,
    OwnAbsenceView,
)
from nautilus_site.common.api.people import CodeView, DeactivateView, LinkView
from nautilus_site.common.api.sessions import PersonSessionsView, SessionDetailView, SessionListView
from nautilus_site.common.api.tokens import TokenDetailView, TokenListView
from nautilus_site.common.live.sse import stream

api_urlpatterns = [
    path("stream", stream, name="api-stream"),
    path("audit", AuditListView.as_view(), name="api-audit"),
    path("audit/verify", AuditVerifyView.as_view(), name="api-audit-verify"),
    path("audit/verifications", VerificationListView.as_view(), name="api-audit-verifications"),
    path("audit/verifications/<int:pk>", VerificationDetailView.as_view(), name="api-audit-verification"),
    path("tokens", TokenListView.as_view(), name="api-tokens"),
    path("tokens/<int:pk>", TokenDetailView.as_view(), name="api-token"),
    path("people/<str:username>/link", LinkView.as_view(), name="api-person-link"),
    path("people/<str:username>/code", CodeView.as_view(), name="api-person-code"),
    path("people/<str:username>/deactivate", DeactivateView.as_view(), name="api-person-deactivate"),
    path("people/<str:username>/sessions/end", PersonSessionsView.as_view(), name="api-person-sessions-end"),
    path("sessions", SessionListView.as_view(), name="api-sessions"),
    path("sessions/<str:digest>", SessionDetailView.as_view(), name="api-session"),
    path("approvals", ApprovalListView.as_view(), name="api-approvals"),
    path("approvals/duties", DutiesView.as_view(), name="api-approvals-duties"),
    path("approvals/reject", BulkRejectView.as_view(), name="api-approvals-reject"),
    path("approvals/hand-over", BulkHandOverView.as_view(), name="api-approvals-hand-over"),
    path("approvals/<uuid:pk>", ApprovalDetailView.as_view(), name="api-approval"),
    path("approvals/<uuid:pk>/approve", ApproveView.as_view(), name="api-approval-approve"),
    path("approvals/<uuid:pk>/reject", RejectView.as_view(), name="api-approval-reject"),
    path("approvals/<uuid:pk>/comments", CommentListView.as_view(), name="api-approval-comments"),
    path("approvals/<uuid:pk>/hand-over", HandOverView.as_view(), name="api-approval-hand-over"),
    path("absences", AbsenceListView.as_view(), name="api-absences"),
    path("absences/mine", OwnAbsenceView.as_view(), name="api-absence-mine"),
]
