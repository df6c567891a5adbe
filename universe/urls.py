"""Routes of instruments and bars under /api/v1/."""

from django.urls import path

from universe.api.views import BarsView, SymbolView, UniverseView

api_urlpatterns = [
    path("universe", UniverseView.as_view(), name="api-universe"),
    path("symbols/<str:symbol>", SymbolView.as_view(), name="api-symbol"),
    path("bars", BarsView.as_view(), name="api-bars"),
]
