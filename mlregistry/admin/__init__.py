"""The registry in the admin: facts to be read, and actions that go through the services everybody else calls."""

from mlregistry.admin import evidence, training, trials, versions

__all__ = ["evidence", "training", "trials", "versions"]
