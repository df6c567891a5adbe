"""A supervisor over tiny stand-ins for the platform's processes. Run as a script by the tests beside it.

Arguments: one JSON list of programs, each `{"kind", "code", "stop_rank", "patience_s"}` where `code` is
Python source; a program of kind `prepare` runs once before the others.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nautilus_site.supervisor.main import run_platform
from nautilus_site.supervisor.programs import Program


def main() -> int:
    table = [
        Program(
            kind=row["kind"],
            arguments=(sys.executable, "-X", f"nautilus-{row['kind']}", "-c", row["code"]),
            stop_rank=row.get("stop_rank", 0),
            patience_s=row.get("patience_s", 3.0),
        )
        for row in json.loads(sys.argv[1])
    ]
    prepare = next((program for program in table if program.kind == "prepare"), None)
    return run_platform(os.environ, [program for program in table if program is not prepare], prepare)


if __name__ == "__main__":
    sys.exit(main())
