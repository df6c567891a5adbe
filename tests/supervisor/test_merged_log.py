"""One log of many processes: whole lines, a file each, and never a terminal's pace."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from nautilus_site.supervisor.console import LONGEST_QUEUE, Console
from nautilus_site.supervisor.merged_log import MergedLog
from nautilus_site.supervisor.rotation import RotatingLog


async def lines_of(directory: Path, *blocks: bytes, coloured: bool = False) -> tuple[str, str]:
    """What the terminal shows, and what the file holds, of blocks written to the pipe one by one."""
    reading, writing = os.pipe()
    log = MergedLog(directory, Console(writing), coloured=coloured)
    pipe = log.pipe("web")
    for block in blocks:
        os.write(pipe, block)
        await asyncio.sleep(0.01)
    os.close(pipe)
    await log.drain()
    log.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as shown:
        return shown.read().decode(), (directory / "web.log").read_text()


async def test_a_line_that_arrives_in_pieces_is_shown_whole(tmp_path: Path) -> None:
    shown, kept = await lines_of(tmp_path, b"hal", b"f and ha", b"lf\nnext\nlast without an end")
    assert kept == "half and half\nnext\nlast without an end\n"
    assert shown.splitlines()[0] == "web            | half and half"


async def test_a_character_cut_in_two_by_a_block_is_shown_whole(tmp_path: Path) -> None:
    euro = "€".encode()
    _, kept = await lines_of(tmp_path, euro[:1], euro[1:] + b"\n")
    assert kept == "€\n"


async def test_what_would_drive_a_terminal_is_shown_as_text(tmp_path: Path) -> None:
    shown, kept = await lines_of(tmp_path, b"\x1b]0;title\x07 \x1b[2J \x1b[31mred\x1b[0m\n", coloured=True)
    assert "\x1b]" not in shown
    assert "\x07" not in shown
    assert "\x1b[2J" not in shown
    assert "\x1b[31mred" in shown
    assert kept == "\\x1b]0;title\\x07 \\x1b[2J red\n"


async def test_without_a_terminal_there_are_no_colours(tmp_path: Path) -> None:
    shown, _ = await lines_of(tmp_path, b"\x1b[31mred\x1b[0m\n", coloured=False)
    assert shown == "web            | red\n"


def test_a_full_file_moves_on_and_only_so_many_are_kept(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "web.log", largest_bytes=100, kept=2)
    for number in range(50):
        log.write(f"line {number:04}")  # 10 bytes with its end: ten lines fill a file
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["web.log", "web.log.1", "web.log.2"]
    assert all(path.stat().st_size <= 100 for path in tmp_path.iterdir())
    assert (tmp_path / "web.log").read_text().splitlines()[-1] == "line 0049"
    assert (tmp_path / "web.log.1").read_text().splitlines() == [f"line {n:04}" for n in range(30, 40)]
    assert (tmp_path / "web.log.2").read_text().splitlines() == [f"line {n:04}" for n in range(20, 30)]


def test_a_file_that_exists_is_continued(tmp_path: Path) -> None:
    for text in ("first run", "second run"):
        log = RotatingLog(tmp_path / "web.log")
        log.write(text)
        log.close()
    assert (tmp_path / "web.log").read_text() == "first run\nsecond run\n"


def test_a_terminal_that_does_not_read_loses_lines_but_stops_nobody() -> None:
    reading, writing = os.pipe()
    console = Console(writing)
    total = LONGEST_QUEUE * 3
    writer = threading.Thread(target=lambda: [console.write(f"{n:06} " + "x" * 100) for n in range(total)])
    writer.start()
    writer.join(10)
    assert not writer.is_alive(), "writing went on although nobody read"

    shown: list[bytes] = []

    def read_all() -> None:
        while block := os.read(reading, 65536):
            shown.append(block)

    reader = threading.Thread(target=read_all)
    reader.start()
    console.write("after the pause")
    console.close(10)
    os.close(writing)
    reader.join(10)
    os.close(reading)
    text = b"".join(shown).decode()
    assert text.startswith("000000 ")
    assert "lines not shown here; the log files have them" in text
    assert text.count("\n") < total
