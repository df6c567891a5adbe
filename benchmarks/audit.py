"""Verifying the audit trail: entries a second, and what ten million take.

    python benchmarks/audit.py [--entries 60000] [--per-seal 3]

An embedded Postgres and one process. Entries as orders write them are sealed in small seals, as a busy second makes
them, and in one full ones; both chains are verified against their notes. What a sealed second costs the relay is
measured on the way. Beside it, as the floor in the same run, sha256 of the same number of texts of the same length.

Prints a table and one JSON line per figure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
AFTER = {
    "status": "FILLED",
    "filled_quantity": "0.015",
    "average_price": "64123.41",
    "commission": "0.00001500",
}
TEN_MILLION = 10_000_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=60_000, help="entries of each chain")
    parser.add_argument("--per-seal", type=int, default=3, help="entries of a small seal")
    options = parser.parse_args()
    from nautilus_site.supervisor.embedded.postgres import EmbeddedPostgres

    with tempfile.TemporaryDirectory(prefix="nautilus-bench-") as name:
        home = Path(name)
        postgres = EmbeddedPostgres(home)
        try:
            postgres.start()
            os.environ.update(
                DJANGO_SETTINGS_MODULE="nautilus_site.settings.local",
                NAUTILUS_HOME=str(home),
                DATABASE_URL=postgres.owner_url,
                BINANCE_ENV="local",
                LOG_LEVEL="ERROR",
            )
            import django

            django.setup()
            from django.core.management import call_command

            call_command("migrate", verbosity=0)
            measure(home, options.entries, options.per_seal)
        finally:
            postgres.stop()


def measure(home: Path, entries: int, per_seal: int) -> None:
    floor = _floor(entries)
    print(f"{'':24}{'entries/s':>12}{'us each':>10}{'10 M':>10}{'x sha256':>10}")
    for label, size in (("small seals", per_seal), ("full seals", 5_000)):
        sealed_s, verified_s = _chain(home / label.replace(" ", "-"), entries, size)
        each = verified_s / entries
        print(
            f"verify, {label:16}{entries / verified_s:>12,.0f}{each * 1e6:>10.1f}"
            f"{each * TEN_MILLION / 60:>7.1f} min{verified_s / floor:>10.1f}"
        )
        key = label.split()[0]
        _line(f"audit_verify_{key}_entries_per_s", entries / verified_s, "1/s")
        _line(f"audit_verify_{key}_ten_million_min", each * TEN_MILLION / 60, "min", goal="<= 10")
        _line(f"audit_seal_{key}_entries_per_s", entries / sealed_s, "1/s")


def _chain(folder: Path, entries: int, per_seal: int) -> tuple[float, float]:
    """Make a chain of its own and verify it; seconds of both."""
    from django.db import connection

    from nautilus_site.common.clock import now
    from nautilus_site.common.daemons.audit_head import AuditHead
    from nautilus_site.common.models import AuditEntry
    from nautilus_site.common.services import audit_chain
    from nautilus_site.common.services.audit_chain import audit_seal
    from nautilus_site.common.services.audit_proof import Checked, audit_verify_piece
    from nautilus_site.common.services.leases import lease_acquire

    with connection.cursor() as cursor:
        for table in ("common_auditentry", "common_auditseal"):
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(f"GRANT TRUNCATE ON {table} TO CURRENT_USER")
        cursor.execute("TRUNCATE common_auditentry, common_auditseal, common_unsealedentry RESTART IDENTITY")
        for table in ("common_auditentry", "common_auditseal"):
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
    for start in range(0, entries, 5_000):
        AuditEntry.objects.bulk_create(
            [
                AuditEntry(
                    at=now(), actor_name="worker", action="order.settled", target=f"order:{n}", reason="",
                    after={**AFTER, "n": n}, request_id="0" * 32,
                )
                for n in range(start, min(start + 5_000, entries))
            ]
        )  # fmt: skip
    head = AuditHead(folder)
    held = lease_acquire(name="bench", holder="bench", life=timedelta(hours=2))
    assert held is not None
    whole, audit_chain.SEAL_BATCH = audit_chain.SEAL_BATCH, per_seal
    began = time.perf_counter()
    while (seal := audit_seal(held)) is not None:
        head.note(seal)
    sealed_s = time.perf_counter() - began
    audit_chain.SEAL_BATCH = whole
    began = time.perf_counter()
    _, verdict = audit_verify_piece(Checked(), head.noted)
    verified_s = time.perf_counter() - began
    assert verdict is not None
    assert (verdict.ok, verdict.rows) == (True, entries), verdict
    from nautilus_site.common.services.leases import lease_release

    lease_release(held)
    return sealed_s, verified_s


def _floor(entries: int) -> float:
    texts = [json.dumps([n, "order.settled", AFTER] * 2) for n in range(entries)]
    began = time.perf_counter()
    for text in texts:
        hashlib.sha256(text.encode()).hexdigest()
    return time.perf_counter() - began


def _line(name: str, value: float, unit: str, **more: Any) -> None:
    print(json.dumps({"name": name, "value": round(value, 3), "unit": unit, **more}))


if __name__ == "__main__":
    main()
