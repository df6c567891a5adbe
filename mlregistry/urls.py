"""Routes of the model registry under /api/v1/."""

from django.urls import path

from mlregistry.api import canaries, envelopes, looking, studies, verdicts, views

api_urlpatterns = [
    path("canaries", canaries.CanaryListView.as_view(), name="api-canaries"),
    path("canaries/<uuid:uid>", canaries.CanaryDetailView.as_view(), name="api-canary"),
    path("canaries/<uuid:uid>/rollback", canaries.CanaryRollbackView.as_view(), name="api-canary-rollback"),
    path("canaries/<uuid:uid>/extend", canaries.CanaryExtendView.as_view(), name="api-canary-extend"),
    path("models", views.ModelListView.as_view(), name="api-models"),
    path("models/train", views.TrainView.as_view(), name="api-models-train"),
    path("models/serving", views.ServingView.as_view(), name="api-models-serving"),
    path("models/jobs", views.JobListView.as_view(), name="api-models-jobs"),
    path("models/jobs/<uuid:uid>", views.JobDetailView.as_view(), name="api-models-job"),
    path("models/studies", studies.StudyListView.as_view(), name="api-models-studies"),
    path("models/studies/<uuid:uid>", studies.StudyDetailView.as_view(), name="api-models-study"),
    path("models/verdicts", verdicts.VerdictListView.as_view(), name="api-models-verdicts"),
    path("models/verdicts/<uuid:uid>", verdicts.VerdictDetailView.as_view(), name="api-models-verdict"),
    path("models/families/<slug:name>/envelope", envelopes.EnvelopeView.as_view(), name="api-envelope"),
    path(
        "models/families/<slug:name>/envelope/close",
        envelopes.EnvelopeCloseView.as_view(),
        name="api-envelope-close",
    ),
    path("models/compare", looking.ComparisonView.as_view(), name="api-models-compare"),
    path("models/<int:pk>/posterior", looking.PosteriorView.as_view(), name="api-model-posterior"),
    path("models/<int:pk>", views.ModelDetailView.as_view(), name="api-model"),
    path("models/<int:pk>/judge", verdicts.JudgeView.as_view(), name="api-model-judge"),
    path("models/<int:pk>/promote", views.PromoteView.as_view(), name="api-model-promote"),
    path("models/<int:pk>/stage", views.StageView.as_view(), name="api-model-stage"),
    path("models/<int:pk>/rollback", views.RollbackView.as_view(), name="api-model-rollback"),
    path("models/<int:pk>/infer", views.InferView.as_view(), name="api-model-infer"),
]
