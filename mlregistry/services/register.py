"""Taking a trained model into the registry: family, data, bytes, number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Max

from mlregistry.domain.stages import Stage
from mlregistry.models import Dataset, ModelFamily, ModelVersion, StageChange, TrainingRun
from mlregistry.services.artefacts import artefact_keep
from nautilus_site.common.build import commit_sha
from nautilus_site.common.clock import now
from nautilus_site.common.errors import ApplicationError
from nautilus_site.common.models import User
from nautilus_site.common.services.audit import audit_record
from nautilus_site.common.services.outbox import publish
from trading.domain.clock import ns_to_datetime

if TYPE_CHECKING:
    from trading.domain.regime.artefact import EncodedArtefact


def family_name(kind: str, symbol: str, market: str, interval: str) -> str:
    """The name of the family a model of this kind and data belongs to."""
    return f"{kind}-{symbol}-{market}-{interval}".lower().replace("_", "-")


def family_ensure(*, kind: str, symbol: str, market: str, interval: str) -> ModelFamily:
    """The family, made where there is none yet."""
    family, _ = ModelFamily.objects.get_or_create(
        name=family_name(kind, symbol, market, interval),
        defaults={
            "kind": kind,
            "symbol": symbol,
            "market": market,
            "interval": interval,
            "created_at": now(),
        },
    )
    return family


MOST_NOTES = 4000


@transaction.atomic
def version_register(
    *,
    encoded: EncodedArtefact,
    metrics: Mapping[str, Any],
    actor: User | str,
    run: TrainingRun | None = None,
    notes: str = "",
) -> ModelVersion:
    """Register a trained model as a candidate. The same artefact again is the version it already is.

    Raises
    ------
    ArtefactRefused : bytes that do not make a valid model.
    ValueError : an artefact that does not say on what it was trained.
    """
    from trading.domain.regime.artefact import decode

    lineage = dict(decode(encoded.document, encoded.arrays, encoded.digest).lineage)
    try:
        family = family_ensure(
            kind=str(lineage["model"]),
            symbol=str(lineage["symbol"]),
            market=str(lineage["market"]),
            interval=str(lineage["interval"]),
        )
        dataset = _dataset(lineage)
    except KeyError as error:
        raise ValueError(f"the artefact does not say its {error.args[0]}") from None
    ModelFamily.objects.select_for_update(no_key=True).get(pk=family.pk)
    artefact = artefact_keep(encoded)
    known = ModelVersion.objects.filter(family=family, artefact=artefact).first()
    if known is not None:
        return known
    last = ModelVersion.objects.filter(family=family).aggregate(last=Max("number"))["last"] or 0
    moment = now()
    version = ModelVersion.objects.create(
        family=family,
        number=last + 1,
        artefact=artefact,
        dataset=dataset,
        run=run,
        parent=ModelVersion.objects.filter(family=family, stage=Stage.CHAMPION).first(),
        stage=Stage.CANDIDATE,
        lineage=lineage,
        metrics=dict(metrics),
        build=commit_sha(),
        notes=notes,
        created_by=actor if isinstance(actor, User) else None,
        created_at=moment,
    )
    StageChange.objects.create(
        version=version, to_stage=Stage.CANDIDATE, reason="registered", actor=str(actor), at=moment
    )
    audit_record(
        action="model.registered",
        target=f"model:{version}",
        actor=actor,
        after={"digest": encoded.digest, "dataset": dataset.bars_sha256},
    )
    publish("models", {"family": family.name, "version": version.number, "stage": version.stage})
    return version


@transaction.atomic
def version_note(*, version: ModelVersion, notes: str, actor: User) -> ModelVersion:
    """Write down what people know of a version; what stood there before is in the audit trail.

    Raises
    ------
    ApplicationError : INVALID_VALUE, more than 4,000 characters.
    """
    text = notes.strip()
    if len(text) > MOST_NOTES:
        raise ApplicationError("INVALID_VALUE", f"expected at most {MOST_NOTES} characters, were {len(text)}")
    locked = (
        ModelVersion.objects.select_for_update(of=("self",), no_key=True)
        .select_related("family")
        .get(pk=version.pk)
    )
    if text == locked.notes:
        return locked
    before, locked.notes = locked.notes, text
    locked.save(update_fields=["notes"])
    audit_record(action="model.noted", target=f"model:{locked}", actor=actor, before=before, after=text)
    publish("models", {"family": locked.family.name, "version": locked.number, "notes": True})
    return locked


def _dataset(lineage: Mapping[str, Any]) -> Dataset:
    dataset, _ = Dataset.objects.get_or_create(
        bars_sha256=lineage["bars_sha256"],
        defaults={
            "symbol": lineage["symbol"],
            "market": lineage["market"],
            "interval": lineage["interval"],
            "file_sha256": lineage["file_sha256"],
            "start_at": ns_to_datetime(int(lineage["train_start_ns"])),
            "end_at": ns_to_datetime(int(lineage["train_end_ns"])),
            "bars": lineage["bars"],
            "stretches": lineage["stretches"],
            "created_at": now(),
        },
    )
    return dataset
