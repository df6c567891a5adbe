"""`/playbooks/game-days`: playbooks rehearsed one after another, how far that has come, calling it off."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.models import GameDay
from governance.selectors.game_days import game_day_members, game_day_queryset
from governance.serializers.playbooks import GameDayRequestSerializer, GameDaySerializer, WhySerializer
from governance.services.playbooks import game_day_cancel, game_day_start
from nautilus_site.common.api.idempotency import idempotent
from trading.api.controls import validated
from trading.api.filters import StrictFilterSet, check_parameters
from trading.api.lists import MembersListView
from trading.api.orders import OPTIONAL_KEY, person_of


class GameDayFilter(StrictFilterSet):
    class Meta:
        model = GameDay
        fields = ("state",)


class GameDayListView(MembersListView):
    """Game days, newest first; begin one."""

    required = {"GET": "read", "POST": "playbooks.operate"}
    serializer_class = GameDaySerializer
    filterset_class = GameDayFilter
    ordering = ("-id",)

    def get_queryset(self) -> Any:
        return game_day_queryset()

    def members(self, rows: list[Any]) -> list[dict[str, Any]]:
        return [game_day_members(row) for row in rows]

    @extend_schema(
        operation_id="game_days_start",
        request=GameDayRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={202: GameDaySerializer},
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        values = validated(GameDayRequestSerializer, request)
        row = game_day_start(
            playbooks=values.get("playbooks", []), actor=person_of(request), reason=values["reason"]
        )
        return Response(game_day_members(row), status=202)


class GameDayCancelView(APIView):
    """Rehearse no more of them; the fault that is in is taken out."""

    required = {"POST": "playbooks.operate"}

    @extend_schema(
        operation_id="game_days_cancel",
        request=WhySerializer,
        parameters=[OPTIONAL_KEY],
        responses=GameDaySerializer,
    )
    @idempotent()
    def post(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        values = validated(WhySerializer, request)
        row = game_day_cancel(game_day_id=pk, actor=person_of(request), reason=values["reason"])
        return Response(game_day_members(row))
