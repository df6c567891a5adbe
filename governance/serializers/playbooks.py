"""Playbooks, incidents, rehearsals and reports on the wire."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.domain.notices import SEVERITIES
from trading.serializers.strict import (
    CountField,
    ExpiryField,
    FlagField,
    ReasonField,
    RequestSerializer,
    TextField,
    WordField,
)

INCIDENT_STATES = ("open", "calm", "closed")
REHEARSAL_STATES = ("watching", "stuck", "scored", "failed")
GAME_DAY_STATES = ("running", "done", "canceled")
FAMILIES = ("guardian", "governor")


class WatchSerializer(serializers.Serializer[Any]):
    """What a playbook last saw of one scope."""

    scope = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    samples = serializers.IntegerField()
    detail = serializers.CharField(allow_blank=True)
    verdict = serializers.CharField(allow_blank=True)
    sightings = serializers.IntegerField()
    unmeasured = serializers.IntegerField(help_text="readings in a row that failed")
    read_at = serializers.DateTimeField()
    ran_at = serializers.DateTimeField(allow_null=True)


class PlaybookSerializer(serializers.Serializer[Any]):
    """A playbook in force."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    family = serializers.ChoiceField(choices=FAMILIES)
    title = serializers.CharField()
    is_armed = serializers.BooleanField()
    threshold = serializers.FloatField()
    unit = serializers.CharField()
    window_s = serializers.FloatField()
    confirm = serializers.IntegerField(help_text="readings in a row")
    min_samples = serializers.IntegerField()
    cooldown_s = serializers.FloatField()
    cooling_s = serializers.FloatField(help_text="seconds until the last scope may be acted on again")
    max_scopes = serializers.IntegerField(help_text="scopes acted on within an hour")
    blind_after = serializers.IntegerField(
        help_text="failed readings in a row that stop new risk in the scope"
    )
    severity = serializers.ChoiceField(choices=list(SEVERITIES))
    actions = serializers.ListField(child=serializers.DictField())
    rehearsable = serializers.BooleanField()
    needs_review = serializers.BooleanField()
    rehearsal_takes = serializers.ListField(
        child=serializers.CharField(), help_text="permissions of who rehearses it: it ends with its undo"
    )
    changed_by = serializers.CharField()
    changed_at = serializers.DateTimeField()
    watches = WatchSerializer(many=True)


class PlaybookRequestSerializer(RequestSerializer):
    """What to change; what is left out stays."""

    is_armed = FlagField(required=False)
    threshold = serializers.FloatField(required=False)
    window_s = serializers.FloatField(required=False)
    confirm = CountField(required=False)
    min_samples = CountField(required=False)
    cooldown_s = serializers.FloatField(required=False)
    max_scopes = CountField(required=False)
    blind_after = CountField(required=False)
    severity = WordField(choices=list(SEVERITIES), required=False)
    actions = serializers.ListField(child=serializers.DictField(), required=False)
    reason = ReasonField()
    expires_in_s = ExpiryField()


class WhySerializer(RequestSerializer):
    """Why."""

    reason = ReasonField()


class AfterActionRequestSerializer(RequestSerializer):
    """What people write down about an incident."""

    what_happened = TextField(max_length=4000)
    root_cause = TextField(max_length=4000)
    what_will_change = TextField(max_length=4000)


class GameDayRequestSerializer(RequestSerializer):
    """Which playbooks to rehearse one after another; all of them where none is named."""

    playbooks = serializers.ListField(child=TextField(max_length=40), required=False, max_length=50)
    reason = ReasonField()


class GameDaySerializer(serializers.Serializer[Any]):
    """Playbooks rehearsed one after another."""

    id = serializers.IntegerField()
    requested_by = serializers.CharField()
    reason = serializers.CharField()
    state = serializers.ChoiceField(choices=GAME_DAY_STATES)
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    playbooks = serializers.ListField(
        child=serializers.DictField(), help_text="in their order: state, score and what is to say of it"
    )
    finished = serializers.IntegerField(help_text="how many of them had their turn")
    score = serializers.IntegerField(allow_null=True, help_text="mean of those that were scored")
    waits_for = serializers.ListField(
        child=serializers.CharField(), help_text="steps in force still, by playbook"
    )
    waits_until = serializers.DateTimeField(allow_null=True)


class RehearsalSerializer(serializers.Serializer[Any]):
    """A fault put in on purpose, and how well it was answered."""

    id = serializers.IntegerField()
    playbook = serializers.CharField()
    requested_by = serializers.CharField()
    state = serializers.ChoiceField(choices=REHEARSAL_STATES)
    scope = serializers.CharField()
    injected_at = serializers.DateTimeField()
    deadline_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    incident = serializers.IntegerField(allow_null=True)
    score = serializers.IntegerField(allow_null=True, help_text="of 100")
    findings = serializers.ListField(child=serializers.DictField())
    error = serializers.CharField(allow_blank=True)


class IncidentSerializer(serializers.Serializer[Any]):
    """An incident as a line of a list."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    scope = serializers.CharField()
    severity = serializers.ChoiceField(choices=list(SEVERITIES))
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=INCIDENT_STATES)
    is_rehearsal = serializers.BooleanField()
    needs_review = serializers.BooleanField()
    playbook = serializers.CharField(allow_null=True)
    opened_at = serializers.DateTimeField()
    calm_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)
    review = serializers.CharField(allow_blank=True)
    reviewed_by = serializers.CharField(allow_blank=True)


class IncidentDetailSerializer(IncidentSerializer):
    """An incident with its evidence, timeline and steps."""

    evidence = serializers.DictField()
    timeline = serializers.ListField(child=serializers.DictField())
    after_actions = serializers.ListField(child=serializers.DictField())
    actions = serializers.ListField(child=serializers.DictField())
    undo_offered = serializers.BooleanField()


class ReportFileSerializer(serializers.Serializer[Any]):
    """A report as its file holds it."""

    report = serializers.DictField()
    sha256 = serializers.CharField(help_text="of the report: keys sorted, no spaces")


class ReportSerializer(serializers.Serializer[Any]):
    """A day's compliance report."""

    id = serializers.IntegerField()
    day = serializers.DateField()
    created_at = serializers.DateTimeField()
    violations = serializers.IntegerField()
    sha256 = serializers.CharField()
    path = serializers.CharField()
    content = serializers.DictField()
