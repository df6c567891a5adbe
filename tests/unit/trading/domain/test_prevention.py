"""Which mode of self-trade prevention an order carries."""

import pytest

from tests.fakes.instruments import spot, usdm
from trading.domain.prevention import prevention_mode


@pytest.mark.parametrize(
    ("allowed", "entry", "exit_"),
    [
        (
            {"NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"},
            "EXPIRE_TAKER",
            "EXPIRE_MAKER",
        ),
        ({"NONE", "EXPIRE_BOTH"}, "EXPIRE_BOTH", "EXPIRE_BOTH"),
        ({"EXPIRE_MAKER"}, "EXPIRE_MAKER", "EXPIRE_MAKER"),
        ({"EXPIRE_TAKER", "DECREMENT"}, "EXPIRE_TAKER", "DECREMENT"),
        ({"NONE"}, None, None),
        (set(), None, None),
    ],
)
def test_an_entry_gives_way_and_an_exit_does_not(allowed, entry, exit_):
    assert prevention_mode(allowed, exits=False) == entry
    assert prevention_mode(allowed, exits=True) == exit_


def test_spot_says_it_by_symbol_and_usdm_for_the_market():
    assert spot().prevention_modes == frozenset()
    assert spot(allowedSelfTradePreventionModes=["NONE", "EXPIRE_BOTH"]).prevention_modes == {
        "NONE",
        "EXPIRE_BOTH",
    }
    assert usdm().prevention_modes == {"EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"}
