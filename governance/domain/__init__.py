"""Rules of governance: framework free, functions of their arguments."""
