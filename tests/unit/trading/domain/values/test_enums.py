"""Words that other code counts on."""

from trading.domain.values import Level, Side


def test_a_side_knows_its_sign_and_its_opposite():
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert Side.BUY.opposite is Side.SELL
    assert Side.SELL.opposite is Side.BUY


def test_a_stricter_level_is_larger():
    assert sorted([Level.FLATTEN, Level.ACTIVE, Level.CANCEL, Level.REDUCING, Level.HALT_NEW]) == [
        Level.ACTIVE,
        Level.REDUCING,
        Level.HALT_NEW,
        Level.CANCEL,
        Level.FLATTEN,
    ]
    assert max(Level.REDUCING, Level.HALT_NEW) is Level.HALT_NEW
