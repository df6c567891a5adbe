"""People from the machine itself: proposed and switched off as on the page. Deciding takes a browser."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import Role, SecondFactor, User
from nautilus_site.common.services.change_requests import change_request_create
from nautilus_site.common.services.invitations import invitation_link
from nautilus_site.common.services.second_factor_resets import USER_RESET_SECOND_FACTOR
from nautilus_site.common.services.users import USER_CHANGE, USER_CREATE, user_deactivate


class Command(BaseCommand):
    help = (
        "List people, propose a new one, make the link of one who was approved, switch one off, ask for one to be let "
        "in again, or for the reset of a lost second factor. Example: manage.py people propose ada --role trader "
        '--email ada@example.org --as admin --reason "joins the desk"'
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        words = "list|propose|link|deactivate|reactivate|reset"
        actions = parser.add_subparsers(dest="action", required=True, metavar=words)
        shown = actions.add_parser("list", help="everybody, by name")
        shown.add_argument("--json", action="store_true", help="print one JSON array")
        new = actions.add_parser("propose", help="ask for a new person; a risk officer approves")
        new.add_argument("--role", required=True, action="append", choices=Role.values)
        new.add_argument("--email", required=True)
        made = actions.add_parser("link", help="print the secret by which a new person chooses a password")
        off = actions.add_parser("deactivate", help="switch somebody off at once")
        on = actions.add_parser(
            "reactivate", help="ask for somebody to be let in again; a risk officer approves"
        )
        lost = actions.add_parser(
            "reset", help="ask for a lost second factor to be taken away; a risk officer approves"
        )
        for action in (new, made, off, on, lost):
            action.add_argument("name")
            action.add_argument("--as", dest="person", required=True, help="the admin who does it")
        for action in (new, off, on, lost):
            action.add_argument("--reason", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"_{options['action']}")(options)
        except ApplicationError as error:
            raise CommandError(f"{error.code}: {error}") from None

    def _list(self, options: dict[str, Any]) -> None:
        confirmed = SecondFactor.objects.filter(confirmed_at__isnull=False)
        with_factor = set(confirmed.values_list("user_id", flat=True))
        rows = [
            {
                "username": user.username,
                "role": user.role,
                "state": "off"
                if not user.is_active
                else "active"
                if user.has_usable_password()
                else "invited",
                "second_factor": user.pk in with_factor,
            }
            for user in User.objects.order_by("username")
        ]
        if options["json"]:
            self.stdout.write(json.dumps(rows))
            return
        for row in rows:
            factor = "with a second factor" if row["second_factor"] else "password alone"
            self.stdout.write(f"{row['username']:<31} {row['role']:<13} {row['state']:<8} {factor}")

    def _propose(self, options: dict[str, Any]) -> None:
        payload = {"role": options["role"], "email": options["email"]}
        self._ask(USER_CREATE, payload, options)

    def _reactivate(self, options: dict[str, Any]) -> None:
        self._ask(USER_CHANGE, {"is_active": True}, options)

    def _reset(self, options: dict[str, Any]) -> None:
        self._ask(USER_RESET_SECOND_FACTOR, {}, options)

    def _ask(self, kind: str, payload: dict[str, Any], options: dict[str, Any]) -> None:
        request = change_request_create(
            kind=kind,
            target=options["name"],
            payload=payload,
            reason=options["reason"],
            requester=_person(options["person"]),
        )
        self.stdout.write(f"request {request.pk} waits for a risk officer")

    def _link(self, options: dict[str, Any]) -> None:
        text = invitation_link(username=options["name"], actor=_person(options["person"]))
        self.stdout.write(f"/accounts/welcome/#{text}")

    def _deactivate(self, options: dict[str, Any]) -> None:
        user = user_deactivate(
            username=options["name"], actor=_person(options["person"]), reason=options["reason"]
        )
        self.stdout.write(f"{user.username} is off")


def _person(name: str) -> User:
    person = User.objects.filter(username=name, is_active=True).first()
    if person is None:
        raise CommandError(f"no active user is called {name!r}")
    return person
