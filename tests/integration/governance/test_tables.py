"""How cells are written: signs and shapes beside colours, decimals exact, nothing through a float."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from governance.views.tables import cell_text

VENDOR = Path(__file__).parents[3] / "templates/static/vendor/lightweight-charts"


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("money", "1234567.005", "1,234,567.01"),
        ("money", "-0.5", "−0.50"),
        ("price", "35137.13", "35,137.13"),
        ("price", "0.03522345678", "0.0352235"),
        ("price", "1.5", "1.50000"),
        ("price", "0", "0.00"),
        ("signed", "12.345", "▲ +12.35"),
        ("signed", "-3.5", "▼ −3.50"),
        ("signed", "0", "0.00"),
        ("signed", "-0.001", "0.00"),
        ("decimal", "60000.123456789012345678", "60,000.123456789012345678"),
        ("percent", 0.0213, "2.13 %"),
        ("side", "SELL", "▼ SELL"),
        ("age", 9.94, "9.9 s"),
        ("age", 119, "119 s"),
        ("age", 7200, "2 h"),
        ("bar", 0.825, "82 %"),
        ("flag", False, "no"),
        ("text", None, "–"),
        ("money", None, "–"),
    ],
)
def test_a_value_is_written_as_people_read_it(kind: str, value: object, text: str) -> None:
    assert cell_text(kind, value) == text


def test_the_vendored_chart_library_is_the_file_whose_digest_was_recorded() -> None:
    for line in (VENDOR / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest
