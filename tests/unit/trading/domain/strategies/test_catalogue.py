"""Strategies by name and from a user's own file."""

import pytest

from trading.domain.strategies import StrategyLoadError, load_strategy, parse_params, registry

OWN = """
from dataclasses import dataclass
from trading.domain.strategies import Desired, Observation, Strategy, parameter


@dataclass(frozen=True)
class Params:
    threshold: float = parameter(100.0, ge=0.0, unit="USDT", help="be long below this price")


class Cheap(Strategy):
    name = "cheap"
    Params = Params

    def warmup(self, params):
        return 1

    def initial(self, params):
        return None

    def step(self, params, state, observation: Observation):
        return state, Desired(1.0 if observation.bar.close < params.threshold else 0.0, reason="PRICE")


class Half(Strategy):
    name = "half"
    Params = Params

    def warmup(self, params):
        return 1


class Nameless(Cheap):
    name = ""


class Unshowable(Cheap):
    Params = int


NOT_A_CLASS = 3
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "my_strategy.py"
    path.write_text(OWN)
    return path


def test_the_built_in_strategies_are_found_by_name():
    assert load_strategy("moving_average") is registry()["moving_average"]


def test_every_built_in_strategy_goes_by_its_own_name_and_has_parameters():
    for name, strategy in registry().items():
        assert strategy.name == name
        assert strategy().warmup(parse_params(strategy.Params, {})) > 0


def test_the_registry_handed_out_is_a_copy():
    registry().clear()
    assert registry()


def test_a_users_own_file_is_loaded_and_works(own):
    strategy = load_strategy(f"{own}:Cheap")
    assert strategy.name == "cheap"
    assert parse_params(strategy.Params, {"threshold": "7"}).threshold == 7.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Missing", "has no Missing"),
        ("Half", "does not define initial, step"),
        ("Nameless", "has no name"),
        ("Unshowable", r"Params"),
        ("NOT_A_CLASS", "not a class derived from Strategy"),
        ("Params", "not a class derived from Strategy"),
    ],
)
def test_a_class_that_is_no_strategy_is_refused_with_what_it_lacks(own, name, message):
    with pytest.raises(StrategyLoadError, match=message):
        load_strategy(f"{own}:{name}")


def test_a_file_that_fails_is_refused_with_its_error(tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("1 / 0\n")
    with pytest.raises(StrategyLoadError, match="ZeroDivisionError"):
        load_strategy(f"{path}:Anything")


@pytest.mark.parametrize("text", ["no_such_strategy", "nowhere.py:Class", ""])
def test_what_does_not_exist_is_refused(text):
    with pytest.raises(StrategyLoadError):
        load_strategy(text)
