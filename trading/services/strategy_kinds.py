"""Which strategies can be chosen by name: the built-in ones, a user's files, and installed packages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Final, Literal

from django.conf import settings

from trading.domain.strategies import Strategy, StrategyLoadError, load_strategy
from trading.domain.strategies.catalogue import load_file, registry, strategies_in
from trading.domain.strategies.parameters import parameter_schema

ENTRY_POINTS: Final = "nautilus.strategies"

Source = Literal["built in", "home", "package"]


@dataclass(frozen=True, slots=True)
class StrategyKind:
    """A strategy that can be chosen by `name`.

    Attributes
    ----------
    origin : the file or the package it comes from; empty for a built-in one.
    reference : what `load_strategy` takes, in any process.
    strategy : None where it cannot be used; `error` then says why.
    """

    name: str
    source: Source
    origin: str
    reference: str
    strategy: type[Strategy] | None
    error: str = ""

    def members(self) -> dict[str, Any]:
        """Return the public members, the parameters as JSON schema."""
        kind = self.strategy
        return {
            "name": self.name,
            "source": self.source,
            "origin": self.origin,
            "description": "" if kind is None else (kind.__doc__ or "").strip(),
            "parameters": None if kind is None else parameter_schema(kind.Params),
            "compiled": kind is not None and kind.compiled is not None,
            "error": self.error,
        }


def strategies_path() -> Path:
    """Where a user's own strategies are found."""
    return Path(settings.NAUTILUS_HOME) / "strategies"


def strategy_kinds() -> list[StrategyKind]:
    """Return every strategy, built-in ones first; what cannot be used is listed with the reason.

    A name belongs to whoever had it first: built-in, then files in order of their names, then packages.
    """
    found = [StrategyKind(name, "built in", "", name, kind) for name, kind in registry().items()]
    taken = {kind.name: kind for kind in found}
    for kind in (*_from_home(), *_from_packages()):
        holder = taken.get(kind.name)
        if holder is not None and not kind.error:
            place = holder.origin or "the built-in strategies"
            error = f"the name {kind.name} is taken by {place}"
            kind = StrategyKind(kind.name, kind.source, kind.origin, kind.reference, None, error)
        elif not kind.error:
            taken[kind.name] = kind
        found.append(kind)
    return found


def strategy_reference(text: str) -> str:
    """Return what `load_strategy` takes for a name or a reference.

    Raises
    ------
    StrategyLoadError : nothing usable has that name.
    """
    if ":" in text or text in registry():
        return text
    kinds = strategy_kinds()
    for kind in kinds:
        if kind.name == text and kind.strategy is not None:
            return kind.reference
    broken = next((kind for kind in kinds if kind.name == text and kind.error), None)
    if broken is not None:
        raise StrategyLoadError(broken.error)
    names = ", ".join(sorted(kind.name for kind in kinds if kind.strategy is not None))
    raise StrategyLoadError(f"unknown strategy {text!r}; there are {names}; or give path/to/file.py:Class")


def strategy_load(text: str) -> type[Strategy]:
    """Return the class of a name, `path/to/file.py:Class` or `package.module:Class`.

    A file is executed again only when it has changed.

    Raises
    ------
    StrategyLoadError : see `load_strategy`.
    """
    place, colon, _ = text.rpartition(":")
    if colon:
        return _loaded(text, _stamp(Path(place)))
    kind = registry().get(text)
    if kind is not None:
        return kind
    reference = strategy_reference(text)
    return _loaded(reference, _stamp(Path(reference.rpartition(":")[0])))


def _from_home() -> list[StrategyKind]:
    folder = strategies_path()
    if not folder.is_dir():
        return []
    found: list[StrategyKind] = []
    for path in sorted(folder.glob("*.py")):
        if path.name.startswith(("_", ".")):
            continue
        try:
            kinds = _classes(path, _stamp(path))
        except StrategyLoadError as error:
            found.append(StrategyKind(path.stem, "home", path.name, "", None, str(error)))
            continue
        if not kinds:
            found.append(
                StrategyKind(path.stem, "home", path.name, "", None, f"{path.name} defines no strategy")
            )
        found += [
            StrategyKind(kind.name, "home", path.name, f"{path}:{kind.__name__}", kind) for kind in kinds
        ]
    return found


def _from_packages() -> list[StrategyKind]:
    return [_of_package(point) for point in sorted(entry_points(group=ENTRY_POINTS))]


def _of_package(point: EntryPoint) -> StrategyKind:
    origin = point.dist.name if point.dist is not None else point.module
    try:
        kind = load_strategy(f"{point.module}:{point.attr}")
    except StrategyLoadError as error:
        return StrategyKind(point.name, "package", origin, "", None, str(error))
    return StrategyKind(kind.name, "package", origin, f"{point.module}:{point.attr}", kind)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return (found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=256)
def _classes(path: Path, stamp: tuple[int, int]) -> tuple[type[Strategy], ...]:
    return tuple(strategies_in(load_file(path)))


@lru_cache(maxsize=256)
def _loaded(text: str, stamp: tuple[int, int]) -> type[Strategy]:
    return load_strategy(text)
