"""Migrate the database of DATABASE_URL by the older steps, as databases of before did: `python -m` this module."""

from __future__ import annotations

import django
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader


def main() -> None:
    django.setup()
    executor = MigrationExecutor(connection)
    last = [
        migration.replaces[-1] for migration in executor.loader.disk_migrations.values() if migration.replaces
    ]
    ours = {app for app, _ in last}
    executor.loader = MigrationLoader(connection, replace_migrations=False)
    others = [key for key in executor.loader.graph.leaf_nodes() if key[0] not in ours]
    executor.migrate([*others, *last])


if __name__ == "__main__":
    main()
