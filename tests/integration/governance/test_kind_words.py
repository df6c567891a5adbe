"""Every kind of change has words of its own in the inbox: people decide by them."""

from __future__ import annotations

import re
from pathlib import Path

from nautilus_site.common.services.appliers import registered_kinds

SCRIPT = Path(__file__).parents[3] / "templates" / "static" / "nautilus" / "js" / "approvals.js"


def test_every_kind_has_words_and_no_words_are_left_over() -> None:
    block = SCRIPT.read_text().split("const KIND_WORDS = {")[1].split("};")[0]
    assert sorted(re.findall(r'"([a-z_.]+)":', block)) == list(registered_kinds())
