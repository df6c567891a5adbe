# ruff: noqa: T201, S603  (talks to a person; runs our own interpreter)
"""Build the environments of the client libraries that the paper exchange is tried with.

    python scripts/client_envs.py [--only ccxt sdk] [--timeout 240]

Each file `tests/contract/clients/requirements/NAME.txt` becomes `.venv-clients/NAME`, side by side because the
libraries may disagree about what they need. An environment is built again only when its file or the interpreter
changed. A library that cannot be installed here is not an error: the reason is left in
`.venv-clients/NAME.unavailable`, where its tests find the line they are skipped with. Exit code 2 for bad usage,
else 0.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "tests" / "contract" / "clients" / "requirements"
ENVIRONMENTS = ROOT / ".venv-clients"
STAMP = "nautilus-requirements"
TIMEOUT_S = 240.0


def fingerprint(requirements: Path) -> str:
    """What an installation depends on: the pinned packages and the interpreter."""
    return hashlib.sha256(sys.version.encode() + b"\0" + requirements.read_bytes()).hexdigest()


def build(name: str, timeout_s: float) -> str:
    """Bring one environment up to date; returns the line to tell."""
    requirements, environment = REQUIREMENTS / f"{name}.txt", ENVIRONMENTS / name
    reason_file, stamp = ENVIRONMENTS / f"{name}.unavailable", environment / STAMP
    wanted = fingerprint(requirements)
    if stamp.is_file() and stamp.read_text() == wanted:
        reason_file.unlink(missing_ok=True)
        return f"{name}: up to date"
    began = time.monotonic()
    # Half an environment must not look like a whole one: the stamp goes first and comes back last.
    shutil.rmtree(environment, ignore_errors=True)
    reason_file.unlink(missing_ok=True)
    reason = install(environment, requirements, timeout_s)
    if reason:
        shutil.rmtree(environment, ignore_errors=True)
        reason_file.write_text(reason + "\n")
        return f"{name}: cannot be installed here, its tests will be skipped: {reason}"
    stamp.write_text(wanted)
    return f"{name}: installed in {time.monotonic() - began:.0f} s"


def install(environment: Path, requirements: Path, timeout_s: float) -> str:
    """Make the environment and install the pinned packages; returns why not, or nothing."""
    # This interpreter's pip installs into it, which saves bootstrapping a pip in each.
    venv.EnvBuilder(with_pip=False, symlinks=True).create(environment)
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(environment / "bin" / "python"),
        "install",
        "--quiet",
    ]
    command += ["--no-input", "--disable-pip-version-check", "--retries", "1"]
    # Source builds would take compilers and minutes; without a wheel the client counts as not installable.
    command += ["--only-binary", ":all:", "--require-hashes", "--no-deps", "--requirement", str(requirements)]
    try:
        done = subprocess.run(
            command, env=dict(os.environ, PIP_USER="0"), capture_output=True, text=True, timeout=timeout_s
        )
    except subprocess.TimeoutExpired:
        return f"installing took longer than {timeout_s:.0f} s"
    if done.returncode == 0:
        return ""
    errors = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return next((line for line in errors if line.startswith("ERROR")), "pip failed without a reason")


def main() -> int:
    """Build what was asked for, two at a time."""
    known = sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="example:\n  python scripts/client_envs.py --only ccxt",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=known, default=known, help="which (all)")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, help="seconds each may take (240)")
    options = parser.parse_args()
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another checkout command may be building the same ones
        with ThreadPoolExecutor(max_workers=2) as pool:
            for line in pool.map(lambda name: build(name, options.timeout), options.only):
                print(f"nautilus: client {line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
