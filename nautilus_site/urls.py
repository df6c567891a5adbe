"""Every route of the web process; the apps bring their own lists."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

import governance.urls
import mlregistry.urls
import trading.urls
import universe.urls
from nautilus_site.common import probes, views
from nautilus_site.common.api import urls as common_api
from nautilus_site.common.api.schema import ApiDocsView, ApiSchemaView
from nautilus_site.common.code_views import CodeView
from nautilus_site.common.second_factor_views import SecondFactorView

admin.autodiscover()

API_PATTERNS: list[URLPattern | URLResolver] = [
    *common_api.api_urlpatterns,
    # Before trading's: `/strategy/weights` is no strategy called weights.
    *governance.urls.api_urlpatterns,
    *universe.urls.api_urlpatterns,
    *trading.urls.api_urlpatterns,
    *mlregistry.urls.api_urlpatterns,
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("accounts/login/", views.LoginView.as_view(), name="login"),
    path("accounts/code/", CodeView.as_view(), name="code"),
    path("accounts/logout/", views.LogoutView.as_view(), name="logout"),
    path("accounts/logout/everywhere/", views.LogoutEverywhereView.as_view(), name="logout-everywhere"),
    path("accounts/password/", views.PasswordView.as_view(), name="password"),
    path("accounts/second-factor/", SecondFactorView.as_view(), name="second-factor"),
    path("accounts/welcome/", views.WelcomeView.as_view(), name="welcome"),
    path("favicon.ico", views.favicon, name="favicon"),
    path("livez", probes.livez, name="livez"),
    path("readyz", probes.readyz, name="readyz"),
    path("version", probes.version, name="version"),
    path("metrics", probes.metrics, name="metrics"),
    path("api/schema/", ApiSchemaView.as_view(), name="api-schema"),
    path("api/docs/", ApiDocsView.as_view(), name="api-docs"),
    path("api/v1/", include(API_PATTERNS)),
    *governance.urls.urlpatterns,
]

handler400 = views.bad_request
handler403 = views.permission_denied
handler404 = views.not_found
handler500 = views.server_error
