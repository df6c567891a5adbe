"""Forms of the governed objects in the admin. None of them saves anything itself."""

from __future__ import annotations

from typing import Any

from django import forms

from nautilus_site.common.admin.governed import GovernedForm
from trading.domain.values import Level


class ReasonForm(GovernedForm):
    """A governed form whose object is judged by the service alone; the object it shows is never written."""

    def _post_clean(self) -> None:
        """Keep the object as it is stored: model validation of a row nobody saves only gets in the way."""

    def save(self, commit: bool = True) -> Any:
        """The object, untouched: what the form says goes to a service."""
        return self.instance

    def save_m2m(self) -> None:
        """Nothing to relate."""


class StateForm(ReasonForm):
    """A level by name; empty reasons are refused before the service is asked."""

    level = forms.TypedChoiceField(
        coerce=int, choices=[(level.value, level.name) for level in Level], help_text="lowering is a request"
    )

    class Meta:
        fields = "__all__"


class BlackoutForm(ReasonForm):
    """Asks for a window to end before its time."""

    end_now = forms.BooleanField(required=False, label="end now", help_text="a request for a second person")


class NewBlackoutForm(forms.ModelForm):  # type: ignore[type-arg]
    """A window to set; the service checks it and writes the row."""

    class Meta:
        fields = ("scope", "starts_at", "ends_at", "reason")


class GroupForm(ReasonForm):
    """The symbols of a correlated group."""

    symbols = forms.JSONField(help_text='a list: ["BTCUSDT", "ETHUSDT"]')


class AllowanceForm(ReasonForm):
    """Takes a symbol off the list."""

    removed = forms.BooleanField(
        required=False, label="remove", help_text="no new risk in it; what is held can still be sold"
    )
