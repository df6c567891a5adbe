import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[5]


def test_only_the_compiled_engine_imports_numba():
    code = (
        "import sys, trading.domain.backtest.compiled, trading.domain.backtest.replay, trading.domain.strategies; "
        "print('numba' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
