from nautilus_site.common.models.absences import Absence
from nautilus_site.common.models.audit import AuditEntry, AuditSeal, AuditVerification, UnsealedEntry
from nautilus_site.common.models.break_glass import BreakGlass
from nautilus_site.common.models.change_comments import ChangeComment
from nautilus_site.common.models.change_requests import ChangeRequest
from nautilus_site.common.models.hand_overs import ChangeHandOver
from nautilus_site.common.models.idempotency import IdempotencyRecord
from nautilus_site.common.models.invitations import Invitation
from nautilus_site.common.models.leases import Lease
from nautilus_site.common.models.outbox import OutboxEvent
from nautilus_site.common.models.second_factors import RecoveryCode, SecondFactor
from nautilus_site.common.models.session_uses import SessionUse
from nautilus_site.common.models.tokens import ApiToken
from nautilus_site.common.models.users import Role, User

__all__ = [
    "Absence",
    "ApiToken",
    "AuditEntry",
    "AuditSeal",
    "AuditVerification",
    "BreakGlass",
    "ChangeComment",
    "ChangeHandOver",
    "ChangeRequest",
    "IdempotencyRecord",
    "Invitation",
    "Lease",
    "OutboxEvent",
    "RecoveryCode",
    "Role",
    "SecondFactor",
    "SessionUse",
    "UnsealedEntry",
    "User",
]
