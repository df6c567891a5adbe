"""What the registry tells the apps below when they are ready: its appliers, and where models come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from mlregistry.selectors.gauges import model_gauges
from mlregistry.selectors.versions import champion_in_force
from mlregistry.services import artefacts, effects, envelopes, extensions, owners, stages
from nautilus_site.common.collectors import register_collector
from nautilus_site.common.services.appliers import Applier, named, numbered, register_appliers
from trading.services.models import register_model_owners, register_model_source

APPLIERS: Final[Mapping[str, Applier]] = {
    "model.envelope": Applier(
        envelopes.envelope_snapshot,
        envelopes.apply_envelope,
        effects.envelope_effect,
        permission="models.propose",
        bars=owners.trainer_bars,
        rows=envelopes.envelope_rows,
        target=named("family"),
    ),
    "model.extend_canary": Applier(
        extensions.extension_snapshot,
        extensions.apply_extension,
        extensions.extension_effect,
        permission="models.propose",
        clean=extensions.extension_clean,
        bars=owners.trainer_bars,
        rows=extensions.extension_rows,
        target=re.compile(r"canary:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    ),
    "model.promote": Applier(
        stages.promotion_snapshot,
        stages.apply_promotion,
        effects.promotion_effect,
        permission="models.propose",
        bars=owners.trainer_bars,
        rows=stages.promotion_rows,
        target=numbered("model"),
    ),
}


def register() -> None:
    """Register everything; called once per process."""
    register_appliers(APPLIERS)
    register_model_source(artefacts.artefact_place, champion_in_force)
    register_model_owners(owners.owns_model)
    register_collector(model_gauges, name="models")
