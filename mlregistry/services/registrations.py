"""What the registry tells the apps below when they are ready: its appliers, and where models come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mlregistry.selectors.gauges import model_gauges
from mlregistry.selectors.versions import champion_in_force
from mlregistry.services import artefacts, effects, envelopes, extensions, owners, stages
from nautilus_site.common.collectors import register_collector
from nautilus_site.common.services.change_requests import Applier, register_appliers
from trading.services.models import register_model_owners, register_model_source

APPLIERS: Final[Mapping[str, Applier]] = {
    "model.envelope": Applier(
        envelopes.envelope_snapshot,
        envelopes.apply_envelope,
        effects.envelope_effect,
        permission="models.propose",
        bars=owners.trainer_bars,
    ),
    "model.extend_canary": Applier(
        extensions.extension_snapshot,
        extensions.apply_extension,
        extensions.extension_effect,
        permission="models.propose",
        clean=extensions.extension_clean,
        bars=owners.trainer_bars,
    ),
    "model.promote": Applier(
        stages.promotion_snapshot,
        stages.apply_promotion,
        effects.promotion_effect,
        permission="models.propose",
        bars=owners.trainer_bars,
    ),
}


def register() -> None:
    """Register everything; called once per process."""
    register_appliers(APPLIERS)
    register_model_source(artefacts.artefact_place, champion_in_force)
    register_model_owners(owners.owns_model)
    register_collector(model_gauges, name="models")
