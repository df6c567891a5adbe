"""The shared edge's own routes, and small views that exercise what every app's API builds on."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.contrib import admin
from django.db import IntegrityError, OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nautilus_site.common import probes, views
from nautilus_site.common.api import urls as common_api
from nautilus_site.common.api.fields import DecimalTextField, SymbolField
from nautilus_site.common.api.idempotency import idempotent
from nautilus_site.common.errors import Unprocessable
from nautilus_site.common.models import AuditEntry
from nautilus_site.common.services.audit import audit_record


class ToyOrder(serializers.Serializer[Any]):
    symbol = SymbolField()
    quantity = DecimalTextField(positive=True)
    price = DecimalTextField(required=False)


class Orders(APIView):
    """Executes by writing an audit row, so that executions can be counted in the database."""

    required = {"GET": "read", "POST": "orders.place"}
    work_s = 0.0
    fail_next = 0
    lock = threading.Lock()

    def get(self, request: Request) -> Response:
        return Response({"orders": []})

    @idempotent(required=True)
    def post(self, request: Request) -> Response:
        order = ToyOrder(data=request.data)
        order.is_valid(raise_exception=True)
        unique_key = request.idempotency.unique_key  # type: ignore[attr-defined]
        with Orders.lock:
            failing, Orders.fail_next = Orders.fail_next > 0, max(0, Orders.fail_next - 1)
        if failing:
            raise OperationalError("the server closed the connection")
        audit_record(action="toy.executed", target=unique_key, actor="toy")
        time.sleep(Orders.work_s)
        if order.validated_data["symbol"] == "DENIEDUSDT":
            raise Unprocessable("NOTIONAL_ABOVE_MAX", "too large", extra={"measured": "12", "limit": "10"})
        return Response({"zeta": 1, "alpha": unique_key, **order.data}, status=201)


class Undeclared(APIView):
    def get(self, request: Request) -> Response:
        return Response({"reached": True})


class PersonOnly(APIView):
    required = {"POST": "kill.resume"}

    def post(self, request: Request) -> Response:
        return Response({"resumed": True})


class Failing(APIView):
    """Raises what the path says."""

    required = {"GET": "read"}

    def get(self, request: Request, kind: str) -> Response:
        if kind == "database":
            raise OperationalError("password authentication failed for user secret_user")
        if kind == "integrity":
            raise IntegrityError("duplicate key value violates secret_index")
        if kind == "data":
            with connection.cursor() as cursor:
                cursor.execute("SELECT %s::numeric(4, 1)", ["123456"])
        if kind == "missing":
            raise Http404("secret detail")
        raise RuntimeError("secret_token=abc")


class AuditRow(serializers.ModelSerializer[AuditEntry]):
    class Meta:
        model = AuditEntry
        fields = ("id", "action")


class AuditRows(generics.ListAPIView[AuditEntry]):
    required = {"GET": "read"}
    serializer_class = AuditRow
    ordering_fields = ("at",)
    queryset = AuditEntry.objects.filter(action="toy.row")


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"nonce={request.csp_nonce}")  # type: ignore[attr-defined]


admin.autodiscover()  # as the product's own routes do, before they are asked for the admin's

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/login/", views.LoginView.as_view(), name="login"),
    path("accounts/logout/", views.LogoutView.as_view(), name="logout"),
    path("livez", probes.livez),
    path("readyz", probes.readyz),
    path("version", probes.version),
    path("metrics", probes.metrics),
    path("", page),
    path(
        "api/v1/",
        include(
            [
                *common_api.api_urlpatterns,
                path("toy/orders", Orders.as_view()),
                path("toy/undeclared", Undeclared.as_view()),
                path("toy/resume", PersonOnly.as_view()),
                path("toy/failing/<str:kind>", Failing.as_view()),
                path("toy/rows", AuditRows.as_view()),
            ]
        ),
    ),
]
handler400 = views.bad_request
handler403 = views.permission_denied
handler404 = views.not_found
handler500 = views.server_error
