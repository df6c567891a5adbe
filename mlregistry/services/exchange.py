"""Models in a file: out of one registry with everything that is known of them, into another as a candidate."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

from django.db import transaction

from mlregistry.models import ModelVersion
from mlregistry.selectors.artefacts import artefact_recorded
from mlregistry.selectors.versions import version_detail
from mlregistry.services.artefacts import artefact_verify
from mlregistry.services.register import version_register
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record

DOCUMENT, ARRAYS, RECORD = "model.json", "arrays.npz", "version.json"
FORMAT: Final = "nautilus-model-1"
MOST_BYTES: Final = 64 << 20
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def version_export(*, version: ModelVersion, path: Path, actor: User | str) -> Path:
    """Write a version's bytes and its record into one zip file; the same version gives the same arrays and document.

    Raises
    ------
    ArtefactRefused : its bytes were altered or pruned.
    ApplicationError : NOT_WRITTEN, the file exists already or cannot be written.
    """
    artefact_verify(version.digest)
    encoded = artefact_recorded(version.digest)
    record = {"format": FORMAT, "digest": version.digest, **version_detail(version)}
    text = json.dumps(record, sort_keys=True, indent=1).encode()
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        if path.exists():
            raise FileExistsError(f"{path} exists already")
        with zipfile.ZipFile(temporary, "x", zipfile.ZIP_DEFLATED) as archive:
            for name, content in ((DOCUMENT, encoded.document), (ARRAYS, encoded.arrays), (RECORD, text)):
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
        temporary.replace(path)
    except OSError as error:
        raise ApplicationError("NOT_WRITTEN", str(error)) from None
    finally:
        temporary.unlink(missing_ok=True)
    audit_record(
        action="model.exported", target=f"model:{version}", actor=actor, after={"digest": version.digest}
    )
    return path


@transaction.atomic
def version_import(*, path: Path, actor: User | str, reason: str) -> ModelVersion:
    """Register the model in a file as a candidate; what another registry thought of it is a note, not a stage.

    Everything is checked as on training: hashes, shapes, finite numbers, laws of probability. Nothing in the file is
    run or unpickled, no name in it becomes a path.

    Raises
    ------
    ApplicationError : NO_MODEL_FILE, not such a file or too large.  ArtefactRefused : not a valid model.
    """
    from trading.domain.regime.artefact import EncodedArtefact

    if not reason.strip():
        raise ApplicationError("REASON_REQUIRED", "a reason is required")
    parts = _parts(path)
    digest = hashlib.sha256(parts[DOCUMENT]).hexdigest()
    try:
        record = json.loads(parts[RECORD])
        told, came_from = (
            record["digest"],
            f"{record['model']} version {record['version']}, {record['stage']} there",
        )
        if record["format"] != FORMAT:
            raise ApplicationError("NO_MODEL_FILE", f"expected format {FORMAT}, was {record['format']!r}")
        metrics = dict(record["metrics"])
    except (ValueError, KeyError, TypeError) as error:
        raise ApplicationError(
            "NO_MODEL_FILE", f"{path.name}: its {RECORD} cannot be read: {error}"
        ) from None
    if told != digest:
        raise ApplicationError(
            "NO_MODEL_FILE", f"{path.name} holds {digest[:12]} but says that it is {told[:12]}"
        )
    try:
        version = version_register(
            encoded=EncodedArtefact(parts[DOCUMENT], parts[ARRAYS], digest),
            metrics=metrics,
            actor=actor,
            notes=f"imported ({came_from}): {reason.strip()}",
        )
    except ValueError as error:
        raise ApplicationError("NO_MODEL_FILE", f"{path.name}: {error}") from None
    audit_record(
        action="model.imported",
        target=f"model:{version}",
        actor=actor,
        reason=reason,
        after={"digest": digest, "from": came_from},
    )
    return version


def _parts(path: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(path) as archive:
            infos: dict[str, Any] = {info.filename: info for info in archive.infolist()}
            if sorted(infos) != sorted((DOCUMENT, ARRAYS, RECORD)):
                raise ApplicationError(
                    "NO_MODEL_FILE", f"{path.name}: expected {DOCUMENT}, {ARRAYS} and {RECORD}, nothing else"
                )
            if sum(info.file_size for info in infos.values()) > MOST_BYTES:
                raise ApplicationError("NO_MODEL_FILE", f"{path.name}: over {MOST_BYTES >> 20} MiB")
            parts = {}
            for name, info in infos.items():
                with archive.open(info) as file:
                    # The size in the directory is the file's own word; what is read is bounded by us.
                    parts[name] = file.read(MOST_BYTES + 1)
                if len(parts[name]) > MOST_BYTES:
                    raise ApplicationError("NO_MODEL_FILE", f"{path.name}: over {MOST_BYTES >> 20} MiB")
    # An unknown compression is NotImplementedError, a member with a password RuntimeError.
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ApplicationError("NO_MODEL_FILE", f"{path}: {error}") from None
    return parts
