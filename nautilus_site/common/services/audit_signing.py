"""The key of this installation: it vouches for what leaves the audit trail, where no database can be asked.

The private half stays in a file of mode 0600; the public one lies beside it and is kept elsewhere as well. Each use
signs under a name of its own, so that what was signed as one thing never passes for another.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from nacl.encoding import HexEncoder
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

KEY_FILE, PUBLIC_FILE = "signing.key", "signing.pub"
HEAD, EXPORT = "nautilus.audit.head.1", "nautilus.audit.export.1"
"""The names signed under: a head line, an export."""
_SIGNATURE = re.compile("[0-9a-f]{128}")


class SigningKeyUnusable(Exception):
    """There is a key, and not one to sign with: its other half is gone or another one, or it may not be read."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key; `public_key` is its other half, in hexadecimal digits."""

    key: SigningKey

    @property
    def public_key(self) -> str:
        return self.key.verify_key.encode(HexEncoder).decode()

    def sign(self, name: str, text: str) -> str:
        """Sign a text under a name: 128 hexadecimal digits."""
        return self.key.sign(_message(name, text)).signature.hex()


def is_signed_by(public_key: str, name: str, text: str, signature: str) -> bool:
    """Whether a signature is that of a key, of this text under this name. Anything unreadable is not, and there is one
    spelling of each signature.
    """
    if _SIGNATURE.fullmatch(signature) is None:
        return False
    try:
        VerifyKey(public_key.encode(), HexEncoder).verify(_message(name, text), bytes.fromhex(signature))
    except (BadSignatureError, ValueError, TypeError):
        return False
    return True


def signer_made(folder: Path) -> Signer:
    """The key of a folder, made where neither half is there yet. Raises OSError, SigningKeyUnusable.

    Where only the public half is left no other key is made: what the lost one signed would be nobody's any more, and
    that is for people to decide.
    """
    if not (folder / KEY_FILE).exists():
        if (folder / PUBLIC_FILE).exists():
            raise SigningKeyUnusable(f"{KEY_FILE} is gone, and {PUBLIC_FILE} is still there")
        _write(folder / KEY_FILE, SigningKey.generate().encode(HexEncoder))
    signer = signer_there(folder)
    assert signer is not None, "it was made just now"
    if not (folder / PUBLIC_FILE).exists():
        _write(folder / PUBLIC_FILE, signer.public_key.encode() + b"\n", 0o644)
    return signer


def signer_there(folder: Path) -> Signer | None:
    """The key of a folder; None where it has none. Raises OSError, SigningKeyUnusable."""
    try:
        signer = Signer(SigningKey((folder / KEY_FILE).read_bytes().strip(), HexEncoder))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise SigningKeyUnusable(f"this process may not read {KEY_FILE}") from error
    except (ValueError, TypeError) as error:
        raise SigningKeyUnusable(f"{KEY_FILE} holds no key") from error
    if public_key(folder) not in (None, signer.public_key):
        raise SigningKeyUnusable(f"{PUBLIC_FILE} is not the other half of {KEY_FILE}")
    return signer


def public_key(folder: Path) -> str | None:
    """The public half that lies in a folder, as it is written there; None where there is none.

    Raises OSError, SigningKeyUnusable.
    """
    try:
        return (folder / PUBLIC_FILE).read_bytes().decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise SigningKeyUnusable(f"this process may not read {PUBLIC_FILE}") from error


def _message(name: str, text: str) -> bytes:
    return f"{name}\n{text}".encode("utf-8", "surrogatepass")


def _write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Whole or not at all, and never in the place of one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
