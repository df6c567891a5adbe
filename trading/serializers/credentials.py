"""Exchange keys on the wire: what is proposed goes in, nothing of it comes out again."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from trading.models import CandidateKey, Credential
from trading.serializers.strict import ReasonField, RequestSerializer


class CandidateSerializer(serializers.Serializer[Any]):
    """An approved key: in use, refused and why, or waiting for a worker to look at it."""

    last_four = serializers.CharField()
    state = serializers.ChoiceField(choices=CandidateKey.State.choices)
    result = serializers.CharField()
    may = serializers.ListField(child=serializers.CharField())
    approval = serializers.UUIDField()
    at = serializers.DateTimeField()


class TestedSerializer(serializers.Serializer[Any]):
    """The latest look at a key in use. `wrong` empty: the exchange takes it, and it may do what it should."""

    waits = serializers.BooleanField()
    at = serializers.DateTimeField(allow_null=True)
    age_s = serializers.IntegerField(allow_null=True)
    may = serializers.ListField(child=serializers.CharField())
    wrong = serializers.CharField()


class CredentialSerializer(serializers.Serializer[Any]):
    """A key by its last four."""

    id = serializers.IntegerField()
    account = serializers.CharField()
    venue = serializers.CharField()
    purpose = serializers.ChoiceField(choices=Credential.Purpose.choices)
    last_four = serializers.CharField()
    since = serializers.DateTimeField()
    age_s = serializers.IntegerField()
    state = serializers.ChoiceField(choices=("in_use", "revoked"))
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_by = serializers.CharField()
    rotate_by = serializers.DateTimeField()
    rotation = serializers.ChoiceField(choices=("later", "soon", "due"))
    tested = TestedSerializer()
    candidate = CandidateSerializer(allow_null=True)


class KeyTestSerializer(RequestSerializer):
    """The key that is meant, by its last four."""

    last_four = serializers.CharField(max_length=4)


class KeyRevocationSerializer(KeyTestSerializer):
    """The same, and why."""

    reason = ReasonField()


class CredentialRequestSerializer(RequestSerializer):
    """A key to be used instead of the present one."""

    account = serializers.CharField(max_length=40)
    purpose = serializers.ChoiceField(choices=Credential.Purpose.choices)
    api_key = serializers.CharField(max_length=128, write_only=True)
    api_secret = serializers.CharField(max_length=4096, write_only=True, trim_whitespace=False)
    reason = ReasonField()
    expires_in_s = serializers.IntegerField(required=False, min_value=1, max_value=7 * 24 * 3600)
