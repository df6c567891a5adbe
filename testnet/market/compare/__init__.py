"""Does the generated market look like a recorded one? The same figures from both, side by side."""
