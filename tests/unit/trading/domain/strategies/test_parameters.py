"""Parameters: declared once, validated, and shown in forms."""

from dataclasses import dataclass

import pytest

from trading.domain.strategies import ParameterError, parameter, parameter_schema, parse_params


@dataclass(frozen=True)
class Params:
    bars: int = parameter(20, ge=2, le=500, unit="bars", help="length of the window")
    band: float = parameter(0.02, ge=0.0, le=1.0)
    short: bool = parameter(False)
    label: str = parameter("x")

    def __post_init__(self) -> None:
        if self.label == "forbidden":
            raise ValueError("label and window contradict each other")


def test_defaults_fill_in_what_is_not_given():
    assert parse_params(Params, {}) == Params(20, 0.02, False, "x")


def test_text_is_read_as_the_declared_type():
    values = {"bars": "30", "band": "0.5", "short": "yes", "label": "y"}
    assert parse_params(Params, values) == Params(30, 0.5, True, "y")


@pytest.mark.parametrize(("name", "value"), [("bars", 2), ("bars", 500), ("band", 0), ("band", 1)])
def test_a_bound_itself_is_allowed(name, value):
    assert getattr(parse_params(Params, {name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bars", 1),
        ("bars", 501),
        ("bars", 2.5),
        ("bars", "many"),
        ("bars", True),
        ("bars", None),
        ("band", "nan"),
        ("band", float("inf")),
        ("band", -0.01),
        ("short", "perhaps"),
        ("short", 1),
        ("label", 3),
        ("nonsense", 1),
    ],
)
def test_a_wrong_value_is_refused_by_the_fields_name(name, value):
    with pytest.raises(ParameterError) as caught:
        parse_params(Params, {name: value})
    assert caught.value.field == name
    assert str(caught.value).startswith(f"{name}: ")


def test_fields_that_contradict_each_other_are_refused():
    with pytest.raises(ParameterError, match="contradict"):
        parse_params(Params, {"label": "forbidden"})


def test_a_required_parameter_that_is_missing_is_named():
    @dataclass(frozen=True)
    class Required:
        bars: int

    with pytest.raises(ParameterError, match="bars: missing"):
        parse_params(Required, {})


def test_the_schema_shows_type_default_bounds_unit_and_help():
    schema = parameter_schema(Params)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["bars"] == {
        "type": "integer",
        "title": "bars",
        "default": 20,
        "minimum": 2,
        "maximum": 500,
        "description": "length of the window",
        "unit": "bars",
    }
    assert [p["type"] for p in schema["properties"].values()] == ["integer", "number", "boolean", "string"]


def test_a_default_outside_its_own_bounds_is_refused_when_it_is_declared():
    with pytest.raises(ValueError, match="outside"):
        parameter(1, ge=2)


def test_a_bound_on_text_is_refused():
    with pytest.raises(ValueError, match="numbers"):
        parameter("a", ge=1)


def test_a_field_no_form_can_show_is_refused():
    @dataclass(frozen=True)
    class Odd:
        window: list  # type: ignore[type-arg]

    with pytest.raises(TypeError, match=r"Odd\.window"):
        parameter_schema(Odd)
