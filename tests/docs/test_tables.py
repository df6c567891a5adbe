"""Tables and lists that repeat what the code decides say the same as the code."""

from __future__ import annotations

import re
from configparser import ConfigParser

import pytest

from governance.domain.allocation.wording import RULES as WORDING
from governance.domain.policies.capital import CAPITAL_POLICY, ENVELOPE, GROUP
from governance.domain.policies.rulebook import POLICIES, RULE
from governance.domain.policies.schema import Record
from governance.domain.policies.weights import REGIME, STRATEGY_WEIGHTS
from governance.services.rules import VOCABULARY
from governance.views.page import Page
from nautilus_site.common.models import ChangeRequest
from nautilus_site.common.roles import PERMISSIONS, ROLE_PERMISSIONS, permits
from nautilus_site.common.services import appliers
from tests.docs.documents import ROOT, document, quoted, rows
from trading.domain.orders import TRANSITIONS, OrderStatus
from trading.domain.reconcile import DivergenceKind
from trading.domain.risk.chain import RAILS
from trading.domain.values import Level
from trading.services.breakers import KINDS
from trading.services.controls.limit_kinds import LIMITS

DESIGN, APPROVALS, RUNBOOK = (
    "docs/SYSTEM_DESIGN.md",
    "docs/APPROVALS.md",
    "docs/OPERATIONS_RUNBOOK.md",
)


def test_the_table_of_roles_is_the_one_in_force() -> None:
    text = document(APPROVALS).text
    table = text[text.index("<!-- roles: begin -->") : text.index("<!-- roles: end -->")]
    written = {quoted(row[0])[0]: tuple(cell == "yes" for cell in row[2:]) for row in rows(table)}
    in_force = {
        permission: tuple(permits(held, permission) for held in ROLE_PERMISSIONS.values())
        for permission in PERMISSIONS
    }
    assert written == in_force


def test_the_columns_of_the_table_of_roles_are_the_roles_in_order() -> None:
    heading = next(
        line for line in document(APPROVALS).text.splitlines() if line.startswith("| permission |")
    )
    names = [cell.strip().replace(" ", "_") for cell in heading.strip("|").split("|")[2:]]
    assert names == [str(role) for role in ROLE_PERMISSIONS]


def test_the_panels_that_are_always_shown_are_the_ones_their_templates_mark() -> None:
    table = document(DESIGN).section("Arranged pages")
    written = {row[0]: set(row[1].split("; ")) for row in rows(table)}
    marked = {
        page.title: stays
        for page in Page.__subclasses__()
        if (stays := {panel.title for panel in page.panels() if panel.stays})
    }
    assert written == marked


def test_every_kind_of_change_request_is_explained_and_no_other() -> None:
    table = document(APPROVALS).section("What needs two people")
    assert {quoted(row[1])[0] for row in rows(table)} == set(appliers._appliers)


def test_every_rule_that_decides_about_an_amount_is_explained_and_set_by_members_there_are() -> None:
    text = document("docs/CAPITAL.md").text
    table = text[text.index("<!-- decisions: begin -->") : text.index("<!-- decisions: end -->")]
    written = {quoted(row[0])[0]: (row[1], tuple(quoted(row[2]))) for row in rows(table)}
    assert written == {rule: (why.words, why.members) for rule, why in WORDING.items()}
    known = set(CAPITAL_POLICY.fields)
    assert {member for why in WORDING.values() for member in why.members} <= known


@pytest.mark.parametrize(
    ("mark", "records"),
    [
        ("capital", (("", CAPITAL_POLICY), ("envelope.", ENVELOPE), ("groups.NAME.", GROUP))),
        ("weights", (("", STRATEGY_WEIGHTS), ("regimes.NAME.", REGIME))),
    ],
)
def test_every_member_of_a_policy_is_explained_as_the_schema_says(
    mark: str, records: tuple[tuple[str, Record], ...]
) -> None:
    text = document("docs/CAPITAL.md").text
    table = text[text.index(f"<!-- {mark}: begin -->") : text.index(f"<!-- {mark}: end -->")]
    written = {quoted(row[0])[0]: (row[2], row[3]) for row in rows(table)}
    schema = {
        f"{prefix}{name}": (str(field.raises), field.text)
        for prefix, record in records
        for name, field in record.fields.items()
    }
    assert written == schema


def test_everything_rules_may_speak_of_is_listed_and_nothing_else() -> None:
    text = document("docs/POLICIES.md").text

    def listed(mark: str) -> dict[str, tuple[str, ...]]:
        table = text[text.index(f"<!-- {mark}: begin -->") : text.index(f"<!-- {mark}: end -->")]
        return {quoted(row[0])[0]: tuple(quoted(row[1])) for row in rows(table)}

    assert listed("triggers") == {name: tuple(sorted(facts)) for name, facts in VOCABULARY.triggers.items()}
    assert listed("metrics").keys() == VOCABULARY.metrics.keys()
    assert listed("actions") == {
        name: tuple(action.parameters) for name, action in VOCABULARY.actions.items()
    }
    members = {*POLICIES.fields, *(f"rules[].{name}" for name in RULE.fields)}
    assert listed("rules").keys() == members


def test_every_state_a_request_can_have_is_explained() -> None:
    table = document(APPROVALS).section("What may come of a request")
    written = {quoted(row[0])[0] for row in rows(table)}
    states = set(ChangeRequest.State.values)
    assert written >= states - {"approved"}
    assert written <= states


def test_the_rails_are_listed_in_the_order_they_are_asked() -> None:
    table = rows(document(DESIGN).section("Rails"))
    assert [name for row in table for name in quoted(row[0])] == [rail.name for rail in RAILS]
    for row in table:
        codes = {str(rail.code) for rail in RAILS if rail.name in quoted(row[0])}
        assert set(quoted(row[1])) == codes, row[0]


def test_every_state_of_an_order_is_listed_with_an_end_where_the_code_has_one() -> None:
    table = rows(document(DESIGN).section("States of an order"))
    assert {name for row in table for name in quoted(row[0])} == {str(status) for status in OrderStatus}
    for row in table:
        ends = [not TRANSITIONS[OrderStatus(name)] for name in quoted(row[0])]
        assert all(ends) == (row[2] == "(end)"), row


def test_every_level_is_listed_from_weak_to_strong() -> None:
    table = rows(document(DESIGN).section("Levels"))
    assert [quoted(row[0])[0] for row in table] == [level.name for level in Level]


def test_every_kind_of_divergence_has_its_advice() -> None:
    table = rows(document(RUNBOOK).section("A divergence is open"))
    assert {quoted(row[0])[0] for row in table} == {str(kind) for kind in DivergenceKind}


def test_every_breaker_is_in_the_runbook_with_its_threshold_and_what_it_does() -> None:
    written = {quoted(row[0])[0]: row[1:] for row in rows(document(RUNBOOK).section("A breaker is open"))}
    assert set(written) == set(KINDS)
    for name, (opens_at, does, _) in written.items():
        kind = KINDS[name]
        words = {1.0: ("a ", "one ")}.get(kind.rule.threshold, (f"{kind.rule.threshold:g} ",))
        assert any(word in opens_at for word in words), name
        assert (kind.action == "open") == does.startswith("denies"), name
        assert kind.action == "open" or kind.action in does, name
        assert (kind.reset == "manual") == ("*people*" in does), name


def test_every_limit_a_document_names_exists() -> None:
    text = document(DESIGN).section("Rails") + document(APPROVALS).section("Change a limit")
    prefixes = ("price_", "max_", "min_", "market_", "decision_", "reconcile_", "unknown_max", "orders_per")
    named = {span for span in re.findall(r"`([a-z_]+)`", text) if span.startswith(prefixes)}
    assert named - set(LIMITS) - {rail.name for rail in RAILS} == set()


def test_the_layers_inside_an_app_are_those_that_are_enforced() -> None:
    contract = ConfigParser()
    contract.read(ROOT / ".importlinter")
    enforced = [
        line.replace("(", "").replace(")", "").strip()
        for line in contract["importlinter:contract:inside"]["layers"].strip().splitlines()
    ]
    block = document("docs/DEVELOPER_GUIDE.md").section("Imports point down")
    inside = block[block.index("in an app:") + len("in an app:") :]
    written = [line.strip() for line in inside.split("\n\n")[0].splitlines() if line.strip()]
    assert written == enforced
