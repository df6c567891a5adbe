"""The example in docs/STRATEGIES.md is loaded and run as a user would."""

import re
from pathlib import Path

import pytest

from trading.domain.strategies import Bar, Observation, load_strategy, parse_params

DOCUMENT = Path(__file__).parents[5] / "docs" / "STRATEGIES.md"


@pytest.fixture
def breakout(tmp_path):
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert code
    path = tmp_path / "breakout.py"
    path.write_text(code.group(1))
    return load_strategy(f"{path}:Breakout")


def test_the_documented_strategy_holds_after_a_new_high_and_lets_go_after_a_new_low(breakout):
    strategy, params = breakout(), parse_params(breakout.Params, {"window": "3"})
    state, said = strategy.initial(params), []
    for i, close in enumerate([1.0, 2.0, 3.0, 4.0, 3.5, 1.0]):
        bar = Bar(i, i + 1, close, close, close, close, 1.0)
        state = strategy.load(strategy.dump(state))
        state, desired = strategy.step(params, state, Observation("BTCUSDT", "1m", bar, i + 1))
        said.append(None if desired is None else (desired.target, desired.reason))
    assert said == [None, None, None, (0.5, "NEW_HIGH"), None, (0.0, "NEW_LOW")]
