"""Addresses per environment."""

import pytest

from universe.adapters.binance.endpoints import endpoints_for


def test_local_is_the_paper_exchange_and_nothing_else() -> None:
    local = endpoints_for("local", local_url="http://127.0.0.1:9101")
    assert (local.spot_rest, local.spot_streams) == ("http://127.0.0.1:9101", "ws://127.0.0.1:9101")
    assert local.spot_ws_api == "ws://127.0.0.1:9101/ws-api/v3"


def test_only_live_names_the_production_hosts() -> None:
    assert endpoints_for("live").spot_rest == "https://api.binance.com"
    for other in ("testnet", "demo"):
        assert "api.binance.com" not in endpoints_for(other).spot_rest.replace("demo-api.binance.com", "")
        assert endpoints_for(other).spot_rest.startswith("https://")


def test_an_unknown_environment_or_local_address_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown environment"):
        endpoints_for("prod")
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        endpoints_for("local", local_url="https://api.binance.com")
