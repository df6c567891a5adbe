"""The documents as data: headings, links, code spans and code blocks of every Markdown file of the project."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^ {0,3}```.*?^ {0,3}```", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:^|\n)\n((?:(?: {4,}|\t)[^\n]*\n?|\n(?= {4}))+)")
_SPAN = re.compile(r"`([^`\n]+(?:\n(?! *\n)[^`\n]+)?)`")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Document:
    """One Markdown file."""

    path: Path
    text: str

    def __str__(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def blocks(self) -> list[str]:
        """Fenced and indented code."""
        fenced = _FENCE.findall(self.text)
        return [*fenced, *_INDENTED.findall(_FENCE.sub("", self.text))]

    @cached_property
    def prose(self) -> str:
        """The text without code blocks."""
        return _INDENTED.sub("\n\n", _FENCE.sub("", self.text))

    @cached_property
    def spans(self) -> list[str]:
        """Inline code, a line break inside taken as a space."""
        return [" ".join(span.split()) for span in _SPAN.findall(self.prose)]

    @property
    def code(self) -> list[str]:
        """Everything set as code."""
        return [*self.spans, *self.blocks]

    @cached_property
    def links(self) -> list[str]:
        return _LINK.findall(_SPAN.sub("", self.prose))

    @cached_property
    def anchors(self) -> set[str]:
        """The anchors of its headings, as Git hosts make them."""
        found: set[str] = set()
        for heading in _HEADING.findall(_FENCE.sub("", self.text)):
            words = re.sub(r"[^\w\- ]", "", heading.lower())
            slug, number = words.replace(" ", "-"), 0
            while (name := f"{slug}-{number}" if number else slug) in found:
                number += 1
            found.add(name)
        return found

    def section(self, title: str) -> str:
        """What stands under a heading, up to the next one of the same or a higher level."""
        start = re.search(rf"^(#+) {re.escape(title)}$", self.text, re.MULTILINE)
        assert start is not None, f"{self} has no section {title!r}"
        rest = self.text[start.end() :]
        end = re.search(rf"^#{{1,{len(start[1])}}} ", rest, re.MULTILINE)
        return rest[: end.start()] if end else rest


@lru_cache(maxsize=1)
def documents() -> tuple[Document, ...]:
    """Every Markdown file that belongs to the project."""
    folders = (ROOT, ROOT / "docs", ROOT / "docs" / "decisions", ROOT / "benchmarks")
    paths = sorted(path for folder in folders for path in folder.glob("*.md"))
    return tuple(Document(path, path.read_text(encoding="utf-8")) for path in paths)


def document(name: str) -> Document:
    return next(found for found in documents() if str(found) == name)


def rows(table: str) -> list[list[str]]:
    """The cells of a Markdown table's rows, without heading and rule."""
    lines = [line.strip().strip("|") for line in table.splitlines() if line.strip().startswith("|")]
    return [[cell.strip() for cell in line.split("|")] for line in lines[2:]]


def quoted(cell: str) -> list[str]:
    """The code spans of a cell."""
    return re.findall(r"`([^`]+)`", cell)
