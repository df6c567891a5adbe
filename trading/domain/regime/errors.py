"""What can go wrong in the regime kernel."""

from __future__ import annotations

from trading.domain.errors import DomainError


class RegimeError(DomainError):
    """Any failure the regime kernel names."""


class FeaturesRefused(RegimeError):
    """A bar or a series from which the features cannot be computed; nothing was changed."""


class DegenerateFilter(RegimeError):
    """No regime gives the observation a finite positive likelihood; the filter keeps its last state."""


class StateRefused(RegimeError):
    """A stored filter state that does not belong to this model, or does not continue at this bar."""


class FitRefused(RegimeError):
    """The data cannot be fitted, or a fit broke off: too few rows, constant columns, an empty state."""


class ArtefactRefused(RegimeError):
    """A model file that is damaged, altered, of another format, or not a valid model."""


class KernelUnavailable(RegimeError):
    """Machine code was asked for where numba is not installed."""
