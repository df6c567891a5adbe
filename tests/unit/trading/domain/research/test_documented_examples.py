"""The Python examples of docs/RESEARCH.md run as they stand, and find what they say they find."""

import re
from pathlib import Path

BLOCKS = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[5] / "docs" / "RESEARCH.md").read_text(), re.DOTALL
)


def printed(block, capsys):
    exec(compile(block, "RESEARCH.md", "exec"), {})  # noqa: S102  our own document
    return capsys.readouterr().out


def test_the_example_of_a_leak_finds_it(capsys):
    assert printed(BLOCKS[0], capsys).startswith("demeaned it needs most of the sample")


def test_the_examples_of_resampling_print_their_figures(capsys):
    lines = printed(BLOCKS[1], capsys).splitlines()
    assert len(BLOCKS) == 2
    assert re.fullmatch(r"Sharpe per day 0\.084, 95 % of resamples in -?0\.\d{3} to 0\.\d{3}", lines[0])
    assert 0 < float(lines[1].rpartition(" ")[2]) < 1
    assert 0 < float(lines[2].rpartition(" ")[2].rstrip("%")) < 100
    assert 0 <= float(lines[3].rpartition(" ")[2]) <= 1
