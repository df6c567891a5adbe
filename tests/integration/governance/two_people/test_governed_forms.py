"""The admin's forms of governed models: each says that saving files a request, and none writes its row in any way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from django.contrib import admin
from django.forms.models import model_to_dict
from django.test import Client, RequestFactory
from django.urls import reverse

import nautilus_site.urls  # noqa: F401  (which finds the admin of every app)
from nautilus_site.common.admin import GovernedAdmin
from nautilus_site.common.models import ChangeRequest, User
from tests.factories.second_factors import passed
from tests.integration.governance.two_people.exposure import exposure, raised
from tests.integration.governance.two_people.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
NOTICE = "What raises risk is saved as a request."
RISKIER: dict[str, tuple[str, dict[str, Any]]] = {
    "trading.risklimit": ("max_notional@global", {"value": "99999"}),
    "trading.strategy": ("swing", {"is_enabled": "on"}),
    "trading.strategyinstance": ("", {"allocation": "9000"}),
    "trading.tradingstate": ("symbol:BTCUSDT", {"level": "0"}),
    "trading.breakerpolicy": ("", {"threshold": "999999"}),
    "trading.circuitbreaker": ("", {"state": "closed"}),
    "trading.blackout": ("", {"end_now": "on"}),
    "trading.correlationgroup": ("", {"symbols": "BTCUSDT"}),
    "trading.sweepperiod": ("", {"every_s": "999"}),
    "governance.policy": ("capital_policy", {}),
    "governance.playbook": ("", {"threshold": "99999"}),
    "governance.notificationchannel": ("", {"is_enabled": ""}),
    "governance.notificationroute": ("", {"severity": "critical"}),
    "django_celery_beat.periodictask": ("", {"enabled": ""}),
    "common.user": ("viewer", {"role": "risk_officer", "is_active": "on"}),
}
"""What each form is asked for, of which row; only lowering is possible in the form of `trading.symbolallowance`."""


def governed() -> dict[str, GovernedAdmin]:
    return {
        model._meta.label_lower: options
        for model, options in admin.site._registry.items()
        if isinstance(options, GovernedAdmin)
    }


def test_every_governed_form_is_driven_here() -> None:
    assert set(governed()) == {*RISKIER, "trading.symbolallowance"}


def row_of(options: GovernedAdmin, name: str) -> Any:
    for row in options.model._default_manager.order_by("pk"):
        if not name or name in (
            str(row.pk),
            str(row),
            getattr(row, "scope", ""),
            getattr(row, "username", ""),
        ):
            return row
        if getattr(row, "name", None) and name == f"{row.name}@{getattr(row, 'scope', '')}":
            return row
    return options.model._default_manager.order_by("pk").first()


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return cast(Client, passed(client))


def test_each_form_says_that_it_files_a_request_and_writes_nothing_riskier(
    world: World, rf: RequestFactory
) -> None:
    User.objects.update(is_superuser=True)  # which gives nothing
    people = {name: User.objects.get(username=name) for name in ("risk", "admin")}
    shown = filed = 0
    for label, options in governed().items():
        name, wanted = RISKIER.get(label, ("", {"removed": ""}))
        row = row_of(options, name)
        if row is None:
            continue
        site = f"admin:{row._meta.app_label}_{row._meta.model_name}"
        for person in people.values():
            request = rf.get("/")
            request.user = person
            assert "delete_selected" not in options.get_actions(request), label
            assert not options.get_inline_instances(request, row), label
            assert not options.list_editable, label
            client = logged_in(person)
            if not options.has_change_permission(request, row):
                assert client.post(reverse(f"{site}_change", args=[row.pk]), {}).status_code == 403, label
                continue
            page = client.get(reverse(f"{site}_change", args=[row.pk])).content.decode()
            assert NOTICE in page, label
            assert 'name="_continue"' not in page, f"{label}: there is nothing to go on editing"
            shown += 1
            before, requests = exposure(), ChangeRequest.objects.count()
            values = {
                field: "" if value is None else str(value)
                for field, value in model_to_dict(row).items()
                if not isinstance(value, bool) or value
            }
            sent = {**values, **wanted, "reason": "more", "_save": "Save"}
            client.post(reverse(f"{site}_change", args=[row.pk]), sent)
            assert raised(before, exposure()) == [], f"{label}: {person} raised it alone"
            filed += ChangeRequest.objects.count() - requests
            for path, sent in past_the_form(site, row, wanted):
                client.post(path, sent)
                assert raised(before, exposure()) == [], f"{label}: {path}"
            assert options.model._default_manager.filter(pk=row.pk).exists(), label
    assert shown >= len(RISKIER)
    assert filed >= 10, f"the forms file requests: {filed}"


def past_the_form(site: str, row: Any, wanted: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The other ways an admin of Django has to write a row: deleting, an action, and editing in the list."""
    every = reverse(f"{site}_changelist")
    yield reverse(f"{site}_delete", args=[row.pk]), {"post": "yes"}
    yield every, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    members = {f"form-0-{name}": value for name, value in wanted.items()}
    yield (
        every,
        {
            "form-TOTAL_FORMS": "1",
            "form-INITIAL_FORMS": "1",
            "form-0-id": str(row.pk),
            **members,
            "_save": "x",
        },
    )
