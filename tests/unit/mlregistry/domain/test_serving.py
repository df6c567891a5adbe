from __future__ import annotations

import pytest

from mlregistry.domain.serving import model_in_force

ENDS = [300, 100, 200]


@pytest.mark.parametrize(
    ("at", "embargo", "index"),
    [(100, 0, None), (101, 0, 1), (200, 0, 1), (201, 0, 2), (250, 50, 1), (251, 50, 2), (10_000, 0, 0)],
)
def test_a_model_speaks_only_after_its_training_and_the_embargo(
    at: int, embargo: int, index: int | None
) -> None:
    assert model_in_force(ENDS, at, embargo) == index


def test_without_models_nothing_speaks() -> None:
    assert model_in_force([], 5, 0) is None


def test_an_embargo_cannot_be_negative() -> None:
    with pytest.raises(ValueError, match="embargo"):
        model_in_force(ENDS, 5, -1)
