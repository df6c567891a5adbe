"""Where each character of a text stands in its file, whichever way the text is written there."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_HEX = {"x": 2, "u": 4, "U": 8}
_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b", "N": "\x85",
    "_": "\xa0", "L": "\u2028", "P": "\u2029", "\n": "\n", "\r": "\r",
}  # fmt: skip
"""Of JSON and YAML together; what is not here stands for itself. The escaped end of a line stands for nothing."""
_BREAKS = "\n\x85\u2028\u2029"
_END_OF_LINE = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")
_TAG = re.compile(r"(?:![^\s]*\s*(?:#[^\n]*\n\s*)*)?")


@dataclass(frozen=True)
class TextPlaces:
    """The characters of one text of a file.

    Blanks may be folded, added and left out between the file and the value; every other character of the value
    stands in the file once, in the same order. So characters are found by counting those that are no blanks.

    Attributes
    ----------
    value : what was read.  raw : what stands in the file, with quotes or the head of a block.
    line, column : of the first character of `raw`, from 1.
    """

    value: str
    raw: str
    line: int
    column: int

    def __call__(self, offset: int) -> tuple[int, int]:
        """Line and column of a character of the value; past its end, of what follows its last one."""
        nth = sum(not one.isspace() for one in self.value[:offset])
        is_blank = offset >= len(self.value) or self.value[offset].isspace()
        marks = self._marks
        if not marks:
            return self.line, self.column
        if is_blank and nth:
            start, length = marks[min(nth, len(marks)) - 1]
            return self._place(start + length)
        return self._place(marks[min(nth, len(marks) - 1)][0])

    @cached_property
    def _marks(self) -> list[tuple[int, int]]:
        return [(at, length) for at, length, one in _characters(self.raw) if not one.isspace()]

    @cached_property
    def _line_starts(self) -> list[int]:
        return [
            0,
            *(
                at + 1
                for at, one in enumerate(self.raw)
                if one in _BREAKS or (one == "\r" and self.raw[at + 1 : at + 2] != "\n")
            ),
        ]

    def _place(self, at: int) -> tuple[int, int]:
        number = bisect_right(self._line_starts, at) - 1
        column = at - self._line_starts[number] + 1
        return self.line + number, column + (self.column - 1 if number == 0 else 0)


def _characters(raw: str) -> Iterator[tuple[int, int, str]]:
    """Each character with where it begins and how much of the file it takes."""
    found = _TAG.match(raw)
    at = found.end() if found else 0
    style = raw[at : at + 1]
    end = len(raw)
    if style in ('"', "'"):
        at, end = at + 1, end - 1
    elif style in ("|", ">"):
        head = _END_OF_LINE.search(raw, at)
        at = head.end() if head else end
    while at < end:
        one, length = raw[at], 1
        if style == "'" and raw.startswith("''", at):
            length = 2
        elif style == '"' and one == "\\":
            one, length = _escaped(raw, at)
        yield at, length, one
        at += length


def _escaped(raw: str, at: int) -> tuple[str, int]:
    kind = raw[at + 1 : at + 2]
    if kind not in _HEX:
        return _ESCAPES.get(kind, kind or "\\"), 2
    length = 2 + _HEX[kind]
    code = int(raw[at + 2 : at + length], 16)
    if 0xD800 <= code < 0xDC00 and raw.startswith(
        "\\u", at + length
    ):  # JSON writes what is beyond the first plane as two
        low = int(raw[at + length + 2 : at + length + 6], 16)
        if 0xDC00 <= low < 0xE000:
            return chr(0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)), length + 6
    return chr(code), length
