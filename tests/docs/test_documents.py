"""What the documents mention exists: links, verbs, commands, routes, settings, metrics, files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from django.urls import Resolver404, resolve

from governance.domain.policies.capital import CAPITAL_POLICY, ENVELOPE
from governance.services.rules import VOCABULARY
from tests.docs.documents import ROOT, Document, document, documents, quoted, rows
from trading.services.breakers import KINDS
from trading.services.controls.limit_kinds import LIMITS

CODE_FOLDERS = ("nautilus_site", "governance", "mlregistry", "trading", "universe")
LOCAL = "http://127.0.0.1:8000"
OWN_ROUTES = (
    "/api/v1",
    "/api/schema",
    "/api/docs",
    "/admin",
    "/livez",
    "/readyz",
    "/version",
    "/accounts/log",
)
SHORT_ROUTE = re.compile(r"(?:[A-Z]+ )?/[a-z][\w/{}-]*(?:\[?\?.*)?")
EVERY_DOCUMENT = pytest.mark.parametrize("page", documents(), ids=str)


@EVERY_DOCUMENT
def test_every_link_leads_somewhere(page: Document) -> None:
    broken = []
    for target in page.links:
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        path = (page.path.parent / name).resolve() if name else page.path
        if not path.exists():
            broken.append(target)
        elif anchor:
            there = next((found for found in documents() if found.path == path), None)
            if there is None or anchor not in there.anchors:
                broken.append(target)
    assert broken == []


@EVERY_DOCUMENT
def test_every_make_verb_is_one_of_the_makefile(page: Document) -> None:
    verbs: set[str] = set()
    for line in makefile().splitlines():
        if found := re.match(r"([a-z][a-z -]*):(?!=)", line):
            verbs.update(found[1].split())
    mentioned = {
        verb for code in page.code for verb in re.findall(r"(?m)(?:^|[\s(|])make ([a-z][a-z-]*)", code)
    }
    assert mentioned - verbs == set()


@EVERY_DOCUMENT
def test_every_command_exists_and_knows_its_options(page: Document) -> None:
    problems = []
    for code in page.code:
        for line in code.replace("\\\n", " ").splitlines():
            for name, rest in re.findall(r"manage\.py ([a-z_]+)([^`#]*)", line):
                problems += list(command_problems(name, rest))
    assert problems == []


def command_problems(name: str, rest: str) -> Iterator[str]:
    commands = get_commands()
    if name in ("help", "COMMAND"):
        return
    if name not in commands:
        yield f"no command {name}"
        return
    app = commands[name]
    command = load_command_class(app, name) if isinstance(app, str) else app
    parser: Any = command.create_parser("manage.py", name)
    children = [action.choices for action in parser._actions if hasattr(action.choices, "items")]
    words = re.findall(r"(?:^|\s)([a-z][a-z-]*)\b", rest)
    if children and words:
        if words[0] not in children[0]:
            yield f"no action {words[0]} of {name}"
            return
        parser = children[0][words[0]]
    for option in re.findall(r"(?<=\s)(--[a-z-]+)", rest):
        if option not in parser._option_string_actions:
            yield f"{name} has no option {option}"


@EVERY_DOCUMENT
def test_every_route_of_the_platform_resolves_and_takes_its_method(page: Document) -> None:
    problems = []
    for code in page.code:
        for method, path in re.findall(
            r"(?:\b(GET|POST|PUT|DELETE) )?(/[\w/{}.:-]+)", code.replace(LOCAL, "")
        ):
            if path.startswith(OWN_ROUTES):
                problems += route_problems(path, method)
            elif page.path.name == "API.md" and SHORT_ROUTE.fullmatch(code):
                # That page writes its routes without the base path it names at its top.
                problems += route_problems(f"/api/v1{path}", method)
    assert problems == []


def route_problems(path: str, method: str) -> list[str]:
    if path in ("/api/v1/", "/ws/live/", "/api/v1/ws/live/"):
        return []
    for value in ("7", "5f0c3c0e-1111-4222-8333-444455556666"):
        try:
            match = resolve(re.sub(r"\{\w+\}", value, path))
        except Resolver404:
            continue
        view = getattr(match.func, "view_class", getattr(match.func, "cls", None))
        if method and view is not None and not hasattr(view, method.lower()):
            return [f"{path} takes no {method}"]
        return []
    return [f"no route {path}"]


def test_the_pages_the_readme_names_exist() -> None:
    pages = [path for path in document("README.md").spans if re.fullmatch(r"/(?:[a-z]+/)?", path)]
    assert len(pages) >= 5
    for path in pages:
        resolve(path)


def test_the_settings_listed_and_the_settings_read_are_the_same() -> None:
    assert settings_read() - listed_settings() == set()
    sources = source() + makefile()
    unread = {name for name in listed_settings() if not re.search(rf"\b{name}\b", sources)}
    assert unread == set()


@EVERY_DOCUMENT
def test_every_setting_assigned_or_expanded_is_known(page: Document) -> None:
    code = "\n".join(page.code)
    variables = set(re.findall(r"(?m)^([A-Z][A-Z0-9_]+) *\?=", makefile()))
    shell = {"TOKEN", "PWD", "PORT"} | set(re.findall(r"export ([A-Z_]+)=", code))
    mentioned = set(re.findall(r"(?<![\w.\"'?&-])([A-Z][A-Z0-9_]{2,})=(?!=)", code))
    mentioned |= set(re.findall(r"\$\{?([A-Z][A-Z0-9_]{2,})", code))
    assert mentioned - listed_settings() - variables - shell == set()


@EVERY_DOCUMENT
def test_every_metric_is_declared(page: Document) -> None:
    declared = set(
        re.findall(
            r"(?:Counter|Gauge|Histogram|GaugeMetricFamily|CounterMetricFamily|_gauge|_labelled)\(\s*\"([a-z0-9_]+)\"",
            source(),
        )
    )
    assert len(declared) > 30
    mentioned = {
        name
        for span in page.spans
        for name in re.findall(r"^([a-z][a-z0-9_]*_(?:total|usd|pct|ratio|seconds|bps|epoch|ok))$", span)
    }
    if page.path.name == "OPERATIONS_RUNBOOK.md":
        watched = {name for row in rows(page.section("Metrics to watch")) for name in quoted(row[0])}
        assert len(watched) > 15
        mentioned |= watched
    policy = CAPITAL_POLICY.fields.keys() | ENVELOPE.fields.keys()
    policy |= {name for action in VOCABULARY.actions.values() for name in action.parameters}
    assert mentioned - declared - set(KINDS) - set(LIMITS) - policy == set()


@EVERY_DOCUMENT
def test_every_file_of_the_project_that_is_named_exists(page: Document) -> None:
    named = {
        span
        for span in page.spans
        if re.fullmatch(r"[\w.-]+(?:/[\w.-]+)*/?", span)
        and "/" in span
        and (span.split("/")[0] in FOLDERS or re.search(r"\.(?:py|md|js|html|ini|toml)$", span))
    }
    missing = {name for name in named if not any((base / name).exists() for base in (ROOT, page.path.parent))}
    assert missing == set()


@EVERY_DOCUMENT
def test_no_document_names_a_place_on_somebodys_machine(page: Document) -> None:
    assert re.findall(r"(?<![\w.$}])/(?:work|tmp|root|home|Users|mnt)/\S*", page.text) == []


def test_every_decision_is_in_the_index() -> None:
    listed = {
        Path(target).name for target in document("docs/README.md").links if target.startswith("decisions/")
    }
    assert listed == {path.name for path in (ROOT / "docs" / "decisions").glob("*.md")}


FOLDERS = {
    path.name for path in ROOT.iterdir() if path.is_dir() and path.name not in ("var", ".venv", ".git")
}


def makefile() -> str:
    return (ROOT / "Makefile").read_text(encoding="utf-8")


def listed_settings() -> set[str]:
    return set(re.findall(r"(?m)^#?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8")))


def settings_read() -> set[str]:
    """The names the two readers of the environment ask for."""
    text = "".join(
        (ROOT / "nautilus_site" / name).read_text(encoding="utf-8")
        for name in ("env.py", "supervisor/configuration.py")
    )
    asked = r"(?:\b(?:env|source)\.get\(|(?:_port|_whole_number)\((?:env|source), )\"([A-Z_]+)\""
    return set(re.findall(asked, text))


def source() -> str:
    return "\n".join(
        path.read_text(encoding="utf-8")
        for folder in CODE_FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    )
