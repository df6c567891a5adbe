"""Strategies by name: built in, from the user's folder, from installed packages."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from trading.domain.strategies import Strategy, StrategyLoadError
from trading.services import strategy_kinds as kinds
from trading.services.strategy_kinds import strategy_kinds as every_kind
from trading.services.strategy_kinds import strategy_load, strategy_reference

SOURCE = '''
from dataclasses import dataclass
from trading.domain.strategies import Desired, Strategy, parameter

@dataclass(frozen=True)
class Params:
    level: float = parameter({level}, ge=0.0, unit="USDT", help="be long below this price")

class Cheap(Strategy):
    """Long while it is cheap."""
    name = "{name}"
    Params = Params
    def warmup(self, params):
        return 1
    def initial(self, params):
        return None
    def step(self, params, state, observation):
        return state, Desired(1.0 if observation.bar.close < params.level else 0.0, reason="PRICE")
'''


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.NAUTILUS_HOME = tmp_path
    found = tmp_path / "strategies"
    found.mkdir()
    return found


def write(folder: Path, file: str = "cheap.py", *, name: str = "cheap", level: str = "100.0") -> Path:
    path = folder / file
    path.write_text(SOURCE.replace("{name}", name).replace("{level}", level))
    return path


def kind_of(name: str) -> kinds.StrategyKind:
    return next(kind for kind in every_kind() if kind.name == name)


def test_a_file_in_the_folder_is_a_strategy_with_a_form(folder: Path) -> None:
    write(folder)
    kind = kind_of("cheap")
    assert (kind.source, kind.origin, kind.error) == ("home", "cheap.py", "")
    members = kind.members()
    assert members["description"] == "Long while it is cheap."
    assert members["parameters"]["properties"]["level"] == {
        "type": "number",
        "title": "level",
        "default": 100.0,
        "minimum": 0.0,
        "description": "be long below this price",
        "unit": "USDT",
    }
    assert strategy_load("cheap").name == "cheap"
    assert strategy_load(strategy_reference("cheap")).name == "cheap"


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(folder: Path) -> None:
    path = write(folder)
    first = strategy_load("cheap")
    assert strategy_load("cheap") is first
    write(folder, level="2000.0")
    os.utime(path, ns=(1, 1))
    second: Any = strategy_load("cheap")
    assert second is not first
    assert second.Params().level == 2000.0


def test_a_file_that_fails_is_listed_with_its_reason_and_harms_nobody(folder: Path) -> None:
    write(folder)
    (folder / "broken.py").write_text("import nothing_of_the_kind\n")
    (folder / "empty.py").write_text("x = 1\n")
    (folder / "_shared.py").write_text("raise RuntimeError\n")
    assert "nothing_of_the_kind" in kind_of("broken").error
    assert "defines no strategy" in kind_of("empty").error
    assert kind_of("cheap").error == ""
    assert not [kind for kind in every_kind() if "shared" in kind.name]
    with pytest.raises(StrategyLoadError, match="nothing_of_the_kind"):
        strategy_load("broken")


def test_nobody_takes_the_name_of_a_built_in_strategy_or_of_another_file(folder: Path) -> None:
    write(folder, "mine.py", name="moving_average")
    write(folder, "a.py", name="same")
    write(folder, "b.py", name="same")
    refused = [kind for kind in every_kind() if kind.error]
    assert {(kind.name, kind.origin) for kind in refused} == {("moving_average", "mine.py"), ("same", "b.py")}
    assert strategy_load("moving_average").__module__ == "trading.domain.strategies.moving_average"
    assert strategy_reference("same").startswith(str(folder / "a.py"))


def test_an_installed_package_adds_a_strategy_by_its_entry_point(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "somebodys_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    write(package, "cheap.py", name="theirs")
    information = tmp_path / "site" / "somebodys_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[nautilus.strategies]\ntheirs = somebodys_package.cheap:Cheap\ngone = somebodys_package.gone:Gone\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "somebodys_package", raising=False)
    kind = kind_of("theirs")
    assert (kind.source, kind.origin) == ("package", "somebodys-package")
    assert issubclass(strategy_load("theirs"), Strategy)
    assert "somebodys_package.gone" in kind_of("gone").error


@pytest.mark.django_db
def test_the_api_lists_them(folder: Path, make_user: Any, token_client: Any, clean_cache: None) -> None:
    write(folder)
    (folder / "broken.py").write_text("1 +\n")
    rows = token_client(make_user("viewer")).get("/api/v1/strategy-kinds").json()
    by_name = {row["name"]: row for row in rows}
    assert {"moving_average", "trend_follow", "hmm_policy", "market_maker", "cheap"} <= set(by_name)
    assert by_name["cheap"]["source"] == "home"
    assert by_name["broken"]["parameters"] is None
    assert "SyntaxError" in by_name["broken"]["error"]
