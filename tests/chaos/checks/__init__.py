"""What the oracle compares (`docs/CHAOS.md`)."""
