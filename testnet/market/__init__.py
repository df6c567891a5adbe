"""The background market: where prices go, who quotes, who takes."""
