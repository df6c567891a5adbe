"""Trained, validated and versioned models. The regime models and their registry move in here."""
