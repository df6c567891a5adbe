"""`/models/compare` and `/models/{id}/posterior`: versions side by side, and what one says of the newest bars."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mlregistry.selectors.comparison import comparison
from mlregistry.selectors.posterior import MOST, posterior_over_price
from mlregistry.selectors.versions import version_get
from mlregistry.serializers import ModelComparisonSerializer, PosteriorSerializer
from nautilus_site.common.errors import ApplicationError, Conflict
from trading.api.filters import check_parameters
from trading.domain.errors import DomainError


class ComparisonView(APIView):
    """Two versions: recipe, figures, states matched, verdicts between them."""

    required = {"GET": "read"}

    @extend_schema(
        operation_id="models_compare",
        parameters=[OpenApiParameter(name, int, required=True) for name in ("one", "other")],
        responses=ModelComparisonSerializer,
    )
    def get(self, request: Request) -> Response:
        check_parameters(request, ("one", "other"))
        one, other = (version_get(_whole(request, name, None)) for name in ("one", "other"))
        try:
            return Response(comparison(one, other))
        except DomainError as error:
            raise Conflict("ARTEFACT_REFUSED", str(error)) from None


class PosteriorView(APIView):
    """Filtered probabilities of the newest bars, each from the bars up to its own."""

    required = {"GET": "read"}

    @extend_schema(
        operation_id="models_posterior",
        parameters=[OpenApiParameter("bars", int, description=f"1 to {MOST}, 300 unless said")],
        responses=PosteriorSerializer,
    )
    def get(self, request: Request, pk: int) -> Response:
        check_parameters(request, ("bars",))
        bars = _whole(request, "bars", 300)
        if not 1 <= bars <= MOST:
            raise ApplicationError("VALIDATION", f"bars: expected 1 to {MOST}, was {bars}")
        try:
            return Response(posterior_over_price(version_get(pk), bars=bars))
        except DomainError as error:
            raise Conflict("NO_INFERENCE", str(error)) from None


def _whole(request: Request, name: str, default: int | None) -> int:
    text = request.query_params.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 12:
        raise ApplicationError("VALIDATION", f"{name}: expected a whole number, was {text!r}")
    return int(text)
