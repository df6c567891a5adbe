"""When a browser session was used last: beside the session, whose own row would be rewritten as a whole."""

from django.db import models


class SessionUse(models.Model):
    """Renewed at most once a minute. The session's key is a secret, so only its digest is here."""

    digest = models.CharField(max_length=64, primary_key=True, editable=False)
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"a session used at {self.at:%H:%M}"
