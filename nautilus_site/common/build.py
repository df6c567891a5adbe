"""Which build this is: the commit, and the newest migrations on disk."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from django.conf import settings
from django.db.migrations.loader import MigrationLoader

from nautilus_site.common.commit import commit_of


@cache
def commit_sha() -> str:
    """The commit this process runs, as it was when the process (or its supervisor) started."""
    return commit_of(Path(settings.BASE_DIR), os.environ)


@cache
def migration_heads() -> dict[str, str]:
    """The newest migration of each of our apps, by label."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    ours = {"common", "universe", "trading", "mlregistry", "governance"}
    return {app: name for app, name in sorted(loader.graph.leaf_nodes()) if app in ours}
