"""One machine, plain HTTP on loopback: what `make run` uses."""

import secrets

from nautilus_site.settings.base import *  # noqa: F403
from nautilus_site.settings.base import ENV, NAUTILUS_HOME, SECRET_KEY


def _persistent_secret() -> str:
    """A random key made once per home, so that sessions outlive a restart."""
    path = NAUTILUS_HOME / "secret_key"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(48))
        return path.read_text().strip()
    except OSError:
        # An unwritable home: a key for this process only. The supervisor refuses such a home with a sentence.
        return secrets.token_urlsafe(48)


SECRET_KEY = SECRET_KEY or _persistent_secret()
ALLOWED_HOSTS = [*ENV.allowed_hosts, "127.0.0.1", "localhost", "[::1]", ENV.bind]
CSRF_TRUSTED_ORIGINS = [f"http://127.0.0.1:{ENV.port}", f"http://localhost:{ENV.port}"]
# One machine of one's own: two people decide where a channel leads, whatever public host it is.
NOTIFY_HOSTS = ENV.notify_hosts or ("*",)
