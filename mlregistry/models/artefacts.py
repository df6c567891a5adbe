"""The bytes of trained models. Folders below NAUTILUS_HOME are copies for each host; this is the record."""

from django.db import models


class ModelArtefact(models.Model):
    """One artefact by its digest; written once. A trigger refuses to change it, or to forget what ever served."""

    digest = models.CharField(max_length=64, primary_key=True)
    document = models.BinaryField()
    arrays = models.BinaryField()
    stored_at = models.DateTimeField()
    pruned_at = models.DateTimeField(
        null=True, blank=True, help_text="when its bytes were let go; it never served"
    )

    def __str__(self) -> str:
        return self.digest[:12]
