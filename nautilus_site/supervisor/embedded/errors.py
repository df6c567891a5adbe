"""What goes wrong with an embedded service, in one sentence for the person at the terminal."""


class EmbeddedServiceError(Exception):
    """An embedded service cannot run here; the message says why and what to do."""
