"""Processes that are silent. The relay loads `silence` only; what stands on incidents is apart, so it stays small."""
