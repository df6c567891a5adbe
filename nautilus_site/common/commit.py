"""Which commit a checkout is at, told without Django and without the git program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_SHA = re.compile(r"[0-9a-f]{7,64}")


def commit_of(root: Path, environment: Mapping[str, str]) -> str:
    """`BUILD_SHA` of the environment or of a file BUILD_SHA, else what .git says; `unknown` without any of them."""
    given = environment.get(
        "BUILD_SHA", ""
    )  # set by the image build and by the supervisor, not a setting people tune
    if not given and (root / "BUILD_SHA").is_file():
        given = (root / "BUILD_SHA").read_text(encoding="utf-8").strip()
    if _SHA.fullmatch(given):
        return given
    try:
        return _from_git(root / ".git")
    except (OSError, ValueError):
        return "unknown"


def _from_git(git: Path) -> str:
    if git.is_file():  # a worktree: the file names the real directory
        git = (git.parent / git.read_text(encoding="utf-8").partition("gitdir:")[2].strip()).resolve()
    common = git
    if (git / "commondir").is_file():
        common = (git / (git / "commondir").read_text(encoding="utf-8").strip()).resolve()
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref: "):
        return head if _SHA.fullmatch(head) else "unknown"
    reference = head[5:]
    for place in (git, common):
        if (place / reference).is_file():
            return (place / reference).read_text(encoding="utf-8").strip()
    packed = common / "packed-refs"
    for line in packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else ():
        sha, _, name = line.partition(" ")
        if name == reference:
            return sha
    return "unknown"
