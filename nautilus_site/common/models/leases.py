"""Who may act alone: a lease with a fencing number, by the database's clock."""

from django.db import models


class Lease(models.Model):
    """`fence` grows with every take-over; a write that carries an older fence is refused."""

    name = models.CharField(max_length=80, primary_key=True)
    fence = models.BigIntegerField(default=0)
    holder = models.CharField(max_length=120, blank=True)
    build = models.CharField(max_length=64, blank=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} #{self.fence} {self.holder}"
