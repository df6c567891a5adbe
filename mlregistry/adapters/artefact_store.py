"""Model artefacts on disk, below `NAUTILUS_HOME/models`: one folder per digest, written once, whole."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

from trading.domain.regime.artefact import Artefact, EncodedArtefact, decode
from trading.domain.regime.errors import ArtefactRefused

DOCUMENT, ARRAYS = "model.json", "arrays.npz"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


class ArtefactStore:
    """Artefacts by digest: `<root>/<digest>/model.json` and `arrays.npz`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, encoded: EncodedArtefact) -> Path:
        """Keep an artefact and return its folder; the same artefact again changes nothing.

        After a crash at any point there is the whole folder or none.

        Raises
        ------
        OSError : the folder cannot be written.
        """
        target = self.root / encoded.digest
        if target.is_dir():
            self.read(encoded.digest)  # a damaged folder under this digest must not pass for the model
            return target
        self.root.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=self.root, prefix=".new-"))
        try:
            for name, content in ((DOCUMENT, encoded.document), (ARRAYS, encoded.arrays)):
                with (temporary / name).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            temporary.chmod(0o755)
            try:
                temporary.rename(target)
            except OSError:
                if not target.is_dir():
                    raise
                self.read(encoded.digest)  # another process was faster with the same artefact
            _sync(self.root)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return target

    def read(self, digest: str) -> Artefact:
        """Return a checked artefact.

        Raises
        ------
        ArtefactRefused : not a digest, no such model, or anything `decode` refuses.
        """
        if not _DIGEST.fullmatch(digest):
            raise ArtefactRefused(f"expected a SHA-256 in hexadecimal, was {digest!r}")
        folder = self.root / digest
        try:
            document, arrays = (folder / DOCUMENT).read_bytes(), (folder / ARRAYS).read_bytes()
        except OSError as error:
            raise ArtefactRefused(f"model {digest[:12]} cannot be read: {error.strerror}") from error
        return decode(document, arrays, digest)

    def find(self, prefix: str) -> str:
        """Return the one digest that begins with `prefix`.

        Raises
        ------
        ArtefactRefused : none does, or several.
        """
        found = (
            sorted(folder.name for folder in self.root.glob(f"{prefix}*") if _DIGEST.fullmatch(folder.name))
            if re.fullmatch(r"[0-9a-f]{4,64}", prefix)
            else []
        )
        if len(found) != 1:
            raise ArtefactRefused(f"{len(found)} models begin with {prefix!r}")
        return found[0]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
