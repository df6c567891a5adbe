"""Keeping model bytes: in the database for every host, in a folder by digest for this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from mlregistry.models import ModelArtefact
from mlregistry.selectors.artefacts import artefact_recorded
from nautilus_site.common.clock import now

if TYPE_CHECKING:  # numpy comes with the first model, not with every web process
    from mlregistry.adapters.artefact_store import ArtefactStore
    from trading.domain.regime.artefact import Artefact, EncodedArtefact


def artefact_store() -> ArtefactStore:
    """The folders of this host."""
    from mlregistry.adapters.artefact_store import ArtefactStore

    return ArtefactStore(Path(settings.NAUTILUS_HOME) / "models")


def artefact_keep(encoded: EncodedArtefact) -> ModelArtefact:
    """Keep an artefact's bytes; the same ones again change nothing.

    Raises
    ------
    ArtefactRefused : bytes that do not make the model their digest names.
    """
    from trading.domain.regime.artefact import decode

    decode(encoded.document, encoded.arrays, encoded.digest)
    row, _ = ModelArtefact.objects.get_or_create(
        digest=encoded.digest,
        defaults={"document": encoded.document, "arrays": encoded.arrays, "stored_at": now()},
    )
    if row.pruned_at is not None:
        # The digest says that they are the very bytes that were let go.
        row.document, row.arrays, row.pruned_at = encoded.document, encoded.arrays, None
        row.save(update_fields=["document", "arrays", "pruned_at"])
    artefact_store().write(encoded)
    return row


def artefact_place(digest: str) -> Path:
    """Return this host's folder of a model, written from the database where it is missing.

    Raises
    ------
    ArtefactRefused : no such model, or bytes that were altered, here or there.
    """
    store = artefact_store()
    folder = store.root / digest
    if folder.is_dir():
        store.read(digest)
        return folder
    return store.write(artefact_recorded(digest))


def artefact_verify(digest: str) -> Artefact:
    """Read a model from the database and check all of it; this host's copy too, where there is one.

    Raises
    ------
    ArtefactRefused : it was altered, or is not there.
    """
    from trading.domain.regime.artefact import decode

    encoded = artefact_recorded(digest)
    artefact = decode(encoded.document, encoded.arrays, digest)
    store = artefact_store()
    if (store.root / digest).is_dir():
        store.read(digest)
    return artefact
