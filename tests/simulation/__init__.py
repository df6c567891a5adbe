"""A seeded simulation of executor, rows and venue around the very decisions that run in production."""
