"""Lists of the admin answer what their filters ask and nothing else: no column that is not shown is read off them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin import ListFilter
from django.contrib.auth.hashers import make_password
from django.test import Client, RequestFactory
from django.urls import reverse

from nautilus_site.common.models import User
from nautilus_site.common.services.tokens import token_create

pytestmark = [pytest.mark.django_db, pytest.mark.urls("nautilus_site.urls")]
Browser = Callable[[User], Client]
PEOPLE, TOKENS = "/admin/common/user/", "/admin/common/apitoken/"


def paths(model: Any) -> Iterator[str]:
    """Every field of a model, and every field one relation further, in either direction."""
    yield "pk"
    for field in model._meta.get_fields():
        yield field.name
        if field.is_relation and field.related_model is not None:
            yield f"{field.name}__pk"
            yield from (f"{field.name}__{further.name}" for further in field.related_model._meta.get_fields())


def declared(options: Any, request: Any) -> set[str]:
    """The filters of a list, and for one over a relation the key of what it leads to."""
    items = [*options.get_list_filter(request), *filter(None, [options.date_hierarchy])]
    plain = [item for item in items if not (isinstance(item, type) and issubclass(item, ListFilter))]
    names = {item if isinstance(item, str) else item[0] for item in plain}
    keys = set()
    for name in names:
        model, field = options.model, None
        for part in name.split("__"):
            field = model._meta.get_field(part)
            model = field.related_model or model
        if field is not None and field.related_model is not None:
            keys |= {f"{name}__pk", f"{name}__{model._meta.pk.name}"}
    return names | keys


def test_no_list_of_the_admin_answers_a_lookup_on_a_field_that_is_no_declared_filter(
    admin_person: User, rf: RequestFactory
) -> None:
    assert reverse("admin:index") == "/admin/", "the URLs find the admin pages"
    request = rf.get("/admin/")
    request.user = admin_person
    answered, refused = [], 0
    for model, options in admin.site._registry.items():
        allowed = declared(options, request)
        for path in paths(model):
            for lookup in (path, f"{path}__startswith", f"{path}__gt", f"{path}__isnull", f"{path}__regex"):
                if path in allowed:
                    continue
                if options.lookup_allowed(lookup, "x", request):
                    answered.append(f"{model._meta.label}: {lookup}")
                refused += 1
    assert refused > 10_000
    assert answered == []


def test_declared_filters_are_answered(admin_person: User, risk_officer: User, browser: Browser) -> None:
    client = browser(admin_person)
    for query, count in (
        ("", 2),
        ("?role__exact=admin", 1),
        ("?is_active__exact=0", 0),
        ("?q=ris", 1),
        ("?o=-4", 2),
    ):
        assert client.get(f"{PEOPLE}{query}").context["cl"].result_count == count, query
    for path in (
        "trading/order/?account__id__exact=1",
        "trading/order/?created_at__gte=2026-01-01",
        "trading/ledgerentry/?account__id__exact=1",
        "trading/divergence/?resolved_at__isempty=1",
        "mlregistry/trainingjob/?created_at__year=2026",
        "mlregistry/trainingjob/?family__kind=x",
        "trading/orderevent/?at__gte=2026-01-01",
    ):
        assert client.get(f"/admin/{path}").status_code in (200, 302, 404), path


@pytest.mark.parametrize("role", ["trader", "model_owner", "risk_officer", "admin"])
def test_a_password_or_a_digest_is_not_read_off_a_list(
    role: str, make_user: Callable[..., User], browser: Browser
) -> None:
    asker = make_user(role, username="asker")
    other = make_user("risk_officer", username="other", email="other@example.org")
    other.password = make_password("a long password of other")
    other.save()
    token_create(user=asker, name="mine", actor=asker)
    client = browser(asker)
    for path, field, value in (
        (PEOPLE, "password__startswith", other.password[:8]),
        (PEOPLE, "password__regex", "."),
        (PEOPLE, "email", "other@example.org"),
        (PEOPLE, "api_tokens__digest__startswith", "a"),
        (TOKENS, "digest__startswith", asker.api_tokens.get().digest[:4]),
        (TOKENS, "user__password__startswith", other.password[:8]),
        ("/admin/common/changerequest/", "requester__password__startswith", other.password[:8]),
        ("/admin/common/changerequest/", "payload__sealed__startswith", "a"),
    ):
        assert client.get(path, {field: value}).status_code == 400, (path, field)


@pytest.mark.parametrize(
    ("role", "seen"), [("trader", 1), ("model_owner", 1), ("risk_officer", 3), ("admin", 3)]
)
def test_people_see_themselves_unless_they_answer_for_people(
    role: str, seen: int, make_user: Callable[..., User], browser: Browser
) -> None:
    asker = make_user(role, username="asker")
    others = [make_user(other) for other in ("risk_officer", "viewer")]
    for person in (asker, *others):
        token_create(user=person, name="script", actor=person)
    client = browser(asker)
    for path in (PEOPLE, TOKENS):
        assert client.get(path).context["cl"].result_count == seen, path
    answer = client.get(f"{PEOPLE}{others[0].pk}/change/")
    assert (answer.status_code == 200) == (seen == 3), "nor is another opened by its number"
