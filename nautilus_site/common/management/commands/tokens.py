"""API tokens from the machine itself: for scripts that are set up beside the platform."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nautilus_site.common.api.tokens import TokenSerializer
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import ApiToken, User
from nautilus_site.common.services.tokens import MAXIMUM_LIFE, own_token_issue, token_revoke_as


class Command(BaseCommand):
    help = (
        "List, create or revoke API tokens. The text is printed once and kept nowhere. "
        "Example: manage.py tokens create --as trader --name fills --scope read --days 30"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="list|create|revoke")
        shown = actions.add_parser("list", help="tokens by name, newest first")
        shown.add_argument("--as", dest="person", help="only of this person")
        shown.add_argument("--json", action="store_true", help="print one JSON array")
        made = actions.add_parser("create", help="make a token and print its text")
        made.add_argument("--as", dest="person", required=True, help="whose token it is")
        made.add_argument("--name", required=True, help="what it is for")
        made.add_argument(
            "--scope", action="append", default=[], help="a permission; repeat it; none: all of the role"
        )
        made.add_argument(
            "--address", action="append", default=[], help="an address or network it is taken from; none: any"
        )
        made.add_argument("--days", type=int, default=MAXIMUM_LIFE.days, help="how long it lives, 90 at most")
        ended = actions.add_parser("revoke", help="end a token now")
        ended.add_argument("--as", dest="person", required=True, help="who revokes it")
        ended.add_argument("id", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error}") from None

    def _list(self, options: dict[str, Any]) -> None:
        tokens = ApiToken.objects.select_related("user").order_by("-id")
        if options["person"]:
            tokens = tokens.filter(user=_person(options["person"]))
        rows = [dict(TokenSerializer(token).data) for token in tokens]
        if options["json"]:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            may = ", ".join(row["scopes"]) or "all that the role may"
            self.stdout.write(f"{row['id']:>5} {row['user']:<16} {row['state']:<8} {row['name']}: {may}")

    def _create(self, options: dict[str, Any]) -> None:
        _, text = own_token_issue(
            person=_person(options["person"]),
            name=options["name"],
            scopes=options["scope"],
            addresses=options["address"],
            life=timedelta(days=options["days"]),
        )
        self.stdout.write(text)

    def _revoke(self, options: dict[str, Any]) -> None:
        token = token_revoke_as(token_id=options["id"], person=_person(options["person"]))
        self.stdout.write(f"token {token.pk} ({token.name}) of {token.user} is revoked")


def _person(name: str) -> User:
    person = User.objects.filter(username=name, is_active=True).first()
    if person is None:
        raise CommandError(f"no active user is called {name!r}")
    return person
