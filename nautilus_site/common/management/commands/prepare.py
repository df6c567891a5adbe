"""Bring the database and the static files up to this version."""

from __future__ import annotations

import hashlib
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand

STAMP = ".collected"


class Command(BaseCommand):
    help = (
        "Migrate, collect static files when they changed, and on a local venue create the demo. "
        "Safe to repeat. Example: manage.py prepare"
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self._step("migrating the database", lambda: call_command("migrate", interactive=False, verbosity=0))
        self._step("collecting static files", self._collect)
        self._step("naming the build in force", lambda: call_command("deploy_build"))
        self._step(
            "putting every account back to its start-up sweep",
            lambda: call_command("reconcile", restart=True),
        )
        if settings.BINANCE_ENV == "local":
            self._step("creating the demo", lambda: call_command("seed_demo"))
        self._step("putting the first policies into force", lambda: call_command("policy", "install"))
        self.stdout.write("prepared")

    def _step(self, name: str, work: Any) -> None:
        self.stdout.write(f"{name} ...")
        started = time.monotonic()
        outcome = work()
        note = f" ({outcome})" if isinstance(outcome, str) and outcome else ""
        self.stdout.write(f"{name}: done in {time.monotonic() - started:.1f} s{note}")

    def _collect(self) -> str:
        root = Path(settings.STATIC_ROOT)
        stamp, digest = root / STAMP, static_digest()
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
            return "unchanged"
        stamp.unlink(missing_ok=True)
        call_command("collectstatic", interactive=False, verbosity=0, clear=True)
        root.mkdir(parents=True, exist_ok=True)
        stamp.write_text(digest, encoding="utf-8")
        return "collected"


def static_digest() -> str:
    """sha256 over our own files' content, the other files' names and sizes, and how they are stored."""
    digest = hashlib.sha256()
    for package in ("django", "django-unfold", "drf-spectacular-sidecar", "whitenoise"):
        digest.update(f"{package}=={version(package)}\n".encode())
    digest.update(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    own = tuple(str(Path(folder)) for folder in settings.STATICFILES_DIRS)
    for finder in get_finders():
        for name, storage in sorted(finder.list([]), key=lambda found: found[0]):
            path = Path(storage.path(name))
            content = path.read_bytes() if str(path).startswith(own) else str(path.stat().st_size).encode()
            digest.update(f"{name}\n".encode() + hashlib.sha256(content).digest())
    return digest.hexdigest()
