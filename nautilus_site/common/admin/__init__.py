"""The shared part of the admin: people, tokens, audit, change requests, and the rules every admin page
follows.
"""

from nautilus_site.common.admin.governed import GovernedAdmin, GovernedForm
from nautilus_site.common.admin.log_ins import LogInAdmin
from nautilus_site.common.admin.password import to_the_password_page
from nautilus_site.common.admin.people import ApiTokenAdmin, UserAdmin
from nautilus_site.common.admin.read_only import ReadOnlyAdmin
from nautilus_site.common.admin.records import AuditEntryAdmin, AuditSealAdmin, ChangeRequestAdmin
from nautilus_site.common.admin.site import environment_label

__all__ = [
    "ApiTokenAdmin",
    "AuditEntryAdmin",
    "AuditSealAdmin",
    "ChangeRequestAdmin",
    "GovernedAdmin",
    "GovernedForm",
    "LogInAdmin",
    "ReadOnlyAdmin",
    "UserAdmin",
    "environment_label",
    "to_the_password_page",
]
