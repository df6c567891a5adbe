"""Django's `migrate`, as the owner of the tables, and afterwards who may do what with them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate

from nautilus_site.common.ownership import NotSeparate, as_owner, ownership_check, privileges_apply


class Command(migrate.Command):
    help = (
        f"{migrate.Command.help} Connects as DATABASE_OWNER_URL where that is set, and grants the role of DATABASE_URL "
        "what nautilus_site/common/privileges.py declares."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with as_owner() as application:
                ownership_check()
                super().handle(*args, **options)
                if not options["plan"]:
                    privileges_apply(application)
        except NotSeparate as error:
            raise CommandError(str(error)) from None
