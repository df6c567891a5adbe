"""Symbols an account may take risk in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nautilus_site.common.errors import Conflict
from nautilus_site.common.models import ChangeRequest, User
from nautilus_site.common.services.change_requests import change_request_create
from trading.services.controls import symbol_allow_request, symbol_disallow

if TYPE_CHECKING:
    from tests.factories.trading import Desk


def test_a_symbol_that_is_allowed_is_not_asked_for_by_whichever_door(desk: Desk) -> None:
    person = User.objects.create_user(username="asks", password="x", role="trader")
    with pytest.raises(Conflict, match="allowed already"):
        symbol_allow_request(account=desk.account, instrument=desk.btc, requester=person, reason="more")
    with pytest.raises(Conflict, match="allowed already"):
        change_request_create(
            kind="symbol.allow", target="desk:BTCUSDT", payload={}, reason="more", requester=person
        )
    assert not ChangeRequest.objects.exists()
    symbol_disallow(account=desk.account, instrument=desk.btc, actor=person, reason="less")
    asked = change_request_create(
        kind="symbol.allow", target="desk:BTCUSDT", payload={}, reason="more", requester=person
    )
    assert asked.state == "pending"
