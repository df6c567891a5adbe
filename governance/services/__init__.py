"""Decisions of governance: recorded here, applied by calling the services of trading."""
