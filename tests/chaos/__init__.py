"""Fault injection on real processes, and the oracle that judges it. `docs/CHAOS.md` says what is proven."""
