"""What a person has beside their password: a secret shared with an app, and codes for when the app is gone."""

from django.conf import settings
from django.db import models


class SecondFactor(models.Model):
    """One per person. The secrets are sealed (`services/second_factor_secrets.py`): a dump alone opens none.

    `pending` is a secret that was shown and not confirmed yet; a confirmed one counts until it takes its place.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="second_factor"
    )
    sealed = models.BinaryField(null=True, editable=False)
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.BigIntegerField(default=0, help_text="no code of this time step or before works again")
    pending = models.BinaryField(null=True, editable=False)
    pending_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(sealed=None, confirmed_at=None)
                | models.Q(sealed__isnull=False, confirmed_at__isnull=False),
                name="second_factor_is_confirmed_or_has_no_secret",
            ),
        ]

    def __str__(self) -> str:
        return f"second factor of {self.user}"


class RecoveryCode(models.Model):
    """Lets its person in once, in place of a code of the app. Shown once and kept as a digest."""

    factor = models.ForeignKey(SecondFactor, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64, editable=False)
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["factor", "digest"], name="recovery_code_is_new")]

    def __str__(self) -> str:
        return f"recovery code of {self.factor.user}"
