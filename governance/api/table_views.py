"""`/views`: named views of tables, one's own and what others share."""

from __future__ import annotations

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.selectors.table_views import table_view_members, table_views_of
from governance.serializers.table_views import (
    TableViewChangeSerializer,
    TableViewRequestSerializer,
    TableViewSerializer,
    TableViewsSerializer,
)
from governance.services.table_views import Shapes, table_view_add, table_view_change, table_view_delete
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.api.permissions import request_permissions
from nautilus_site.common.errors import NotFound
from nautilus_site.common.models import User
from trading.api.controls import validated
from trading.api.filters import check_parameters
from trading.api.orders import OPTIONAL_KEY, person_of

TABLE = OpenApiParameter("table", OpenApiTypes.STR, description="page and table, such as orders.fills")


class TableViewListView(APIView):
    """The views of one table, or of all: one's own and what others share; keep another one."""

    required = {"GET": "read", "POST": "views.own"}
    shapes: Shapes = {}  # of the tables there are; as_view() gives them

    @extend_schema(operation_id="views_list", parameters=[TABLE], responses=TableViewsSerializer)
    def get(self, request: Request) -> Response:
        check_parameters(request, ("table",))
        person, table = person_of(request), request.query_params.get("table")
        rows = table_views_of(person)
        if table is not None:
            if table not in self.shapes:
                raise NotFound("TABLE_NOT_FOUND", f"{table[:64]!r} is no table")
            rows = rows.filter(table=table)
        found = [table_view_members(row, person) for row in rows]
        return Response({"results": found, "next": None, "previous": None})

    @extend_schema(
        operation_id="views_add",
        request=TableViewRequestSerializer,
        parameters=[OPTIONAL_KEY],
        responses={201: TableViewSerializer},
    )
    @idempotent()
    def post(self, request: Request) -> Response:
        check_parameters(request, ())
        person = person_of(request)
        values = validated(TableViewRequestSerializer, request)
        view = table_view_add(**values, person=person, held=request_permissions(request), shapes=self.shapes)
        return Response(_answer(view.pk, person), status=201)


class TableViewDetailView(APIView):
    """Change a view of one's own, open its table with it, delete it. A shared one may be opened with by everybody."""

    required = {"PUT": "views.own", "DELETE": "views.own"}
    shapes: Shapes = {}

    @extend_schema(
        operation_id="views_change",
        request=TableViewChangeSerializer,
        parameters=[OPTIONAL_KEY],
        responses=TableViewSerializer,
    )
    @idempotent()
    def put(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        person = person_of(request)
        table_view_change(
            view_id=pk,
            changes=validated(TableViewChangeSerializer, request),
            person=person,
            held=request_permissions(request),
            shapes=self.shapes,
        )
        return Response(_answer(pk, person))

    @extend_schema(
        operation_id="views_delete", description="Answers what was deleted.", responses=TableViewSerializer
    )
    def delete(self, request: Request, pk: int) -> Response:
        check_parameters(request, ())
        person = person_of(request)
        known = table_views_of(person).filter(pk=pk).first()
        table_view_delete(view_id=pk, person=person, held=request_permissions(request))
        return Response(table_view_members(known, person))


def _answer(pk: int, person: User) -> dict[str, object]:
    return table_view_members(table_views_of(person).get(pk=pk), person)
