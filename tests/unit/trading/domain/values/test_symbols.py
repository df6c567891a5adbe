"""One spelling per symbol."""

import pytest

from trading.domain.values import Market, normalise_symbol, split_symbol


@pytest.mark.parametrize(
    "text",
    [
        "BTCUSDT",
        "btcusdt",
        "btc/usdt",
        "BTC-USDT",
        " btc_usdt ",
        "BTCUSDT.BINANCE",
        "BTCUSDT.P",
        "BTC/USDT:USDT",
        "BTCUSDT-PERP.BINANCE",
    ],
)
def test_every_common_spelling_is_one_symbol(text):
    # defects W4 and W43: two spellings of one symbol had two locks and two positions
    assert normalise_symbol(text) == "BTCUSDT"


@pytest.mark.parametrize(
    "text", ["BTCUSDT.P", "btcusdt.p", "BTCUSDT-PERP", "BTC/USDT:USDT", "BTCUSDT-PERP.BINANCE"]
)
def test_a_perpetual_spelling_names_its_market(text):
    assert split_symbol(text) == ("BTCUSDT", Market.usdm)


@pytest.mark.parametrize("text", ["BTCUSDT", "BTC/USDT", "BTCUSDT.BINANCE"])
def test_a_plain_spelling_leaves_the_market_open(text):
    assert split_symbol(text) == ("BTCUSDT", None)


def test_a_symbol_may_start_with_digits():
    assert normalise_symbol("1000shib/usdt") == "1000SHIBUSDT"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "BTC USDT",
        "BTC//USDT",
        "/USDT",
        "BTC/",
        "BTC/USDT/X",
        "BTCUSDT;DROP",
        "BTC/USDT:BTC",
        "ВТСUSDT",
        "A" * 21,
        "BTCUSDT.X",
        "ÅBCDE",
    ],
)
def test_what_is_no_symbol_is_refused_with_the_text_in_the_error(text):
    with pytest.raises(ValueError, match="expected a symbol"):
        normalise_symbol(text)


def test_a_delivery_contract_is_not_taken_for_another_symbol():
    with pytest.raises(ValueError, match="delivery contract"):
        normalise_symbol("BTCUSDT_250627")
