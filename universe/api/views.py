"""`/universe`, `/symbols/{symbol}` and `/bars`: what can be traded and how it moved."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import generics
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from universe.api.queries import BarsQuery
from universe.models import Instrument
from universe.selectors import bars_recent, instrument_get, instruments_listed
from universe.serializers import BarsSerializer, InstrumentSerializer


class InstrumentFilter(filters.FilterSet):
    """Filters of the list, by field name."""

    class Meta:
        model = Instrument
        fields = ("symbol", "market", "status", "base_asset", "quote_asset")


class UniverseView(generics.ListAPIView[Instrument]):
    """List every instrument ever seen, newest listing first, with filters and quote."""

    required = {"GET": "read"}
    serializer_class = InstrumentSerializer
    filterset_class = InstrumentFilter
    ordering_fields = ("symbol", "updated_at")

    def get_queryset(self) -> QuerySet[Instrument]:
        return instruments_listed()


class SymbolView(APIView):
    """Show one instrument by any common spelling (`BTCUSDT.P`: the perpetual); else 404 UNKNOWN_SYMBOL."""

    required = {"GET": "read"}

    @extend_schema(responses=InstrumentSerializer)
    def get(self, request: Request, symbol: str) -> Response:
        return Response(InstrumentSerializer(instrument_get(symbol)).data)


class BarsView(APIView):
    """List the latest closed bars of an instrument in ascending time, for charts."""

    required = {"GET": "read"}

    @extend_schema(parameters=[BarsQuery], responses=BarsSerializer)
    def get(self, request: Request) -> Response:
        query = BarsQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        asked: dict[str, Any] = query.validated_data
        instrument = instrument_get(asked["symbol"], asked["market"])
        bars = bars_recent(instrument, asked["interval"], asked["limit"], asked.get("until"))
        return Response(
            BarsSerializer(
                {
                    "symbol": instrument.symbol,
                    "market": instrument.market,
                    "interval": asked["interval"],
                    "results": bars,
                }
            ).data
        )
