"""Why the platform does not start, in one sentence."""


class StartupFailure(Exception):
    """Starting is impossible as things stand; the message says what to change."""
