"""Exchange keys at rest: sealed for workers, closed to the web process, replaced without a restart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection

from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import AuditEntry
from trading.services import credentials
from trading.services.credentials import credential_open, credential_store, sealing_keys_install
from trading.services.venues import execution_venue

if TYPE_CHECKING:
    from tests.factories.trading import Desk

SECRET = "canary-secret-0123456789"


@pytest.fixture
def sealed(desk: Desk, settings: Any, tmp_path: Path) -> Desk:
    settings.NAUTILUS_HOME = tmp_path
    sealing_keys_install()
    credential_store(
        account=desk.account, purpose="executor", api_key="key-1", api_secret=SECRET, actor="test"
    )
    return desk


def test_a_worker_opens_what_was_stored(sealed: Desk) -> None:
    assert credential_open(account=sealed.account, purpose="executor") == ("key-1", SECRET)


def test_the_web_process_cannot_open_a_key_whatever_it_can_read(
    sealed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "process_kind", lambda: "web")
    with pytest.raises(ApplicationError) as refused:
        credential_open(account=sealed.account, purpose="executor")
    assert refused.value.code == "NO_CREDENTIAL"


def test_the_private_half_is_readable_by_its_owner_only(sealed: Desk, tmp_path: Path) -> None:
    assert (tmp_path / "keys" / "opening.key").stat().st_mode & 0o077 == 0


def test_neither_the_row_nor_the_audit_trail_holds_the_secret(sealed: Desk) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT encode(sealed_secret, 'escape') || row_to_json(c)::text FROM trading_credential c"
        )
        (text,) = cursor.fetchone()
    assert SECRET not in text
    assert not any(SECRET in str(entry.after) for entry in AuditEntry.objects.all())


def test_a_key_of_another_home_is_refused_and_not_guessed(
    sealed: Desk, settings: Any, tmp_path: Path
) -> None:
    settings.NAUTILUS_HOME = tmp_path / "other"
    sealing_keys_install()
    with pytest.raises(ApplicationError, match="sealed elsewhere"):
        credential_open(account=sealed.account, purpose="executor")


def test_a_rotated_key_is_used_by_the_next_call_of_the_same_process(sealed: Desk) -> None:
    first = execution_venue(sealed.account)
    assert execution_venue(sealed.account) is first
    credential_store(
        account=sealed.account, purpose="executor", api_key="key-2", api_secret="new", actor="test"
    )
    second = execution_venue(sealed.account)
    assert second is not first
    assert second._client.session.headers["X-MBX-APIKEY"] == "key-2"
