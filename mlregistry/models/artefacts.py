"""The bytes of trained models. Folders below NAUTILUS_HOME are copies for each host; this is the record."""

from django.db import models


class ModelArtefact(models.Model):
    """One artefact by its digest; written once, refused to change by a trigger."""

    digest = models.CharField(max_length=64, primary_key=True)
    document = models.BinaryField()
    arrays = models.BinaryField()
    stored_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.digest[:12]
