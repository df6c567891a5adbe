"""Each app begins with one step that stands for those of before."""

from __future__ import annotations

import pytest
from django.db.migrations.loader import MigrationLoader

APPS = ["common", "governance", "mlregistry", "trading", "universe"]


@pytest.mark.parametrize("label", APPS)
def test_the_first_step_stands_for_every_older_one(label: str) -> None:
    on_disk = MigrationLoader(None).disk_migrations
    squashed = next(
        migration for (app, name), migration in on_disk.items() if app == label and migration.replaces
    )
    last = squashed.replaces[-1][1]
    older = [
        (app, name)
        for app, name in sorted(on_disk)
        if app == label and name <= last and name != squashed.name
    ]
    assert squashed.replaces == older
    assert squashed.name == f"0001_squashed_{last}"


@pytest.mark.parametrize("label", APPS)
def test_a_new_database_takes_the_one_step_and_none_of_the_older(label: str) -> None:
    loader = MigrationLoader(None)
    replaced = {key for migration in loader.replacements.values() for key in migration.replaces}
    planned = [key for key in loader.graph.nodes if key[0] == label]
    assert not replaced.intersection(planned)
    assert loader.graph.root_nodes(label) == [key for key in planned if "_squashed_" in key[1]]
