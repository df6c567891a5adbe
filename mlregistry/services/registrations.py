"""What the registry tells the apps below when they are ready: its appliers, and where models come from."""

from __future__ import annotations

from mlregistry.selectors.versions import champion_in_force
from mlregistry.services import artefacts, envelopes, stages
from nautilus_site.common.models import Role
from nautilus_site.common.services.change_requests import Applier, register_applier
from trading.services.models import register_model_source


def register() -> None:
    """Register everything; called once per process."""
    register_applier(
        "model.promote",
        Applier(
            stages.promotion_snapshot,
            stages.apply_promotion,
            approver_roles=frozenset({Role.RISK_OFFICER}),
            requester_roles=frozenset({Role.MODEL_OWNER}),
        ),
    )
    register_applier(
        "model.envelope",
        Applier(
            envelopes.envelope_snapshot,
            envelopes.apply_envelope,
            approver_roles=frozenset({Role.RISK_OFFICER}),
            requester_roles=frozenset({Role.MODEL_OWNER}),
        ),
    )
    register_model_source(artefacts.artefact_place, champion_in_force)
