# ruff: noqa: T201, S603  (talks to a person; runs our own interpreter)
"""Make the virtual environment and install the pinned packages, only when something changed.

Run by `make` with the system's python3, so it must parse on versions older than the one the platform needs.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

TESTED = (3, 11)
ROOT = Path(__file__).resolve().parent.parent


def fail(sentence):
    print("nautilus: " + sentence, file=sys.stderr)
    sys.exit(1)


def say(sentence):
    print("nautilus: " + sentence, flush=True)


def check_python():
    found = sys.version_info[:2]
    name = "{}.{}".format(*found)
    if found < TESTED:
        fail(
            "Python 3.11 is needed, {} is {}: install Python 3.11, or name one that is there with "
            "`make PYTHON3=/path/to/python3.11 ...`".format(sys.executable or "python3", name)
        )
    if found > TESTED:
        say(f"Python 3.11 is what is tested; this is {name}, which may or may not work")


def check_venv_module():
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        fail(
            "this Python cannot make virtual environments: install its venv and ensurepip modules (on Debian "
            "and Ubuntu: apt-get install python3-venv)"
        )


def fingerprint(requirement_files):
    """What an installation depends on: the pinned packages and the interpreter."""
    digest = hashlib.sha256(sys.version.encode())
    for path in requirement_files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def works(python):
    """Whether an environment is complete; one whose creation was interrupted is not."""
    if not python.exists():
        return False
    command = [str(python), "-m", "pip", "--version"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def create(environment):
    place = environment
    while not place.exists():
        place = place.parent
    if not os.access(str(place), os.W_OK):
        fail(
            f"{place} cannot be written: set NAUTILUS_VENV to a directory for the packages that can, and "
            "NAUTILUS_HOME to one for the data"
        )
    check_venv_module()
    say(f"creating the virtual environment {environment}")
    command = [sys.executable, "-m", "venv", "--clear", str(environment)]
    if subprocess.run(command).returncode != 0:
        fail("the virtual environment could not be created (the reason is above)")


def install(python, requirements):
    say(f"installing the packages of {requirements.name} (a minute or two, the first time)")
    began = time.monotonic()
    environment = dict(os.environ, PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        # The files name every package there is to install: left to resolve, pip reads `name[extra]` as another
        # package than the pinned `name`, and takes its newest release.
        "--no-deps",
        "--requirement",
        str(requirements),
    ]
    if subprocess.run(command, env=environment).returncode != 0:
        fail(
            "the packages could not be installed (the reason is above; often the network or a proxy). Run "
            "the same command again: nothing half-installed will be used"
        )
    say(f"installed in {time.monotonic() - began:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", default=".venv", help="where the virtual environment is or shall be")
    parser.add_argument("--dev", action="store_true", help="install what tests and checks need, too")
    options = parser.parse_args()
    check_python()
    environment = (ROOT / options.venv).absolute()
    python = environment / "bin" / "python"
    runtime, development = ROOT / "requirements.txt", ROOT / "requirements-dev.txt"
    # One stamp per file, written only after its installation has finished.
    steps = [(runtime, [runtime], environment / "nautilus-requirements")]
    if options.dev:
        steps.append((development, [runtime, development], environment / "nautilus-requirements-dev"))
    for requirements, dependencies, stamp in steps:
        wanted = fingerprint(dependencies)
        if stamp.is_file() and stamp.read_text() == wanted:
            continue
        if not works(python):
            create(environment)
        if not os.access(str(environment), os.W_OK):
            fail(f"{environment} is out of date and cannot be written: set NAUTILUS_VENV to one that can")
        if stamp.exists():
            stamp.unlink()
        install(python, requirements)
        stamp.write_text(wanted)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        fail("interrupted; the same command goes on from here")
