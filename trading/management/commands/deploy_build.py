"""Make this build the one whose workers may send orders."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from trading.services.deployment import build_deploy


class Command(BaseCommand):
    help = (
        "Name this build (commit, migrations, rails) as the one in force: workers of any other build get no lane. "
        "`manage.py prepare` does it. Example: manage.py deploy_build"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(build_deploy())
