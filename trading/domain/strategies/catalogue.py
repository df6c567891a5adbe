"""Which strategies there are: the built-in ones by name, and a user's own from a file."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from trading.domain.strategies.base import Strategy
from trading.domain.strategies.hierarchical_hmm import HierarchicalHmm
from trading.domain.strategies.hmm_policy import HmmPolicy
from trading.domain.strategies.listing_sniper import ListingSniper
from trading.domain.strategies.ma_hmm_ensemble import MaHmmEnsemble
from trading.domain.strategies.market_maker import MarketMaker
from trading.domain.strategies.moving_average import MovingAverage
from trading.domain.strategies.parameters import parameter_schema
from trading.domain.strategies.trend_follow import TrendFollow

BUILT_IN: Final[tuple[type[Strategy], ...]] = (
    MovingAverage,
    TrendFollow,
    HmmPolicy,
    MaHmmEnsemble,
    HierarchicalHmm,
    MarketMaker,
    ListingSniper,
)


_MODULE_NAME: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


class StrategyLoadError(ValueError):
    """A strategy cannot be found, imported, or used; the text says which and why."""


def registry() -> dict[str, type[Strategy]]:
    """Return the built-in strategies by name; a new dict each time."""
    return {strategy.name: strategy for strategy in BUILT_IN}


def load_strategy(text: str) -> type[Strategy]:
    """Return the strategy class named by a built-in name, `path/to/file.py:Class` or `package.module:Class`.

    The file or module is executed: it is code, trusted as such.

    Raises
    ------
    StrategyLoadError : no such name, file or class, the file fails, or the class is not a strategy.
    """
    place, colon, class_name = text.rpartition(":")
    if not colon:
        built_in = registry()
        if text not in built_in:
            names = ", ".join(sorted(built_in))
            raise StrategyLoadError(
                f"unknown strategy {text!r}; built in: {names}; or give path/to/file.py:Class"
            )
        return built_in[text]
    if _MODULE_NAME.fullmatch(place) and not Path(place).is_file():
        module = _imported(place)
    else:
        module = load_file(Path(place))
    found = getattr(module, class_name, None)
    if found is None:
        raise StrategyLoadError(f"{place} has no {class_name}")
    return check_strategy(found)


def load_file(path: Path) -> ModuleType:
    """Execute a Python file as a module of its own, afresh at every call.

    Raises
    ------
    StrategyLoadError : no such file, no Python, or it fails.
    """
    if not path.is_file():
        raise StrategyLoadError(f"no strategy file at {path}")
    module_name = f"nautilus_strategy_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise StrategyLoadError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name while the class body runs.
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise StrategyLoadError(f"{path} fails: {type(error).__name__}: {error}") from error
    return module


def strategies_in(module: ModuleType) -> list[type[Strategy]]:
    """Return the strategies a module defines itself, in the order of the file.

    Raises
    ------
    StrategyLoadError : one of them is not usable; the text says why.
    """
    return [
        check_strategy(item)
        for item in vars(module).values()
        if inspect.isclass(item)
        and issubclass(item, Strategy)
        and item.__module__ == module.__name__
        and not item.__name__.startswith("_")
    ]


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise StrategyLoadError(f"{name} fails: {type(error).__name__}: {error}") from error


def check_strategy(candidate: Any) -> type[Strategy]:
    """Return the candidate if it is a usable strategy class.

    Raises
    ------
    StrategyLoadError : what it lacks.
    """
    label = getattr(candidate, "__name__", repr(candidate))
    if not inspect.isclass(candidate) or not issubclass(candidate, Strategy):
        raise StrategyLoadError(f"{label} is not a class derived from Strategy")
    if inspect.isabstract(candidate):
        missing = ", ".join(sorted(candidate.__abstractmethods__))
        raise StrategyLoadError(f"{label} does not define {missing}")
    if not isinstance(getattr(candidate, "name", None), str) or not candidate.name:
        raise StrategyLoadError(f"{label} has no name")
    try:
        parameter_schema(getattr(candidate, "Params", None))  # type: ignore[arg-type]
    except TypeError as error:
        raise StrategyLoadError(f"{label}.Params: {error}") from error
    return candidate
