"""How capital lay over the symbols while a strategy has none; and amounts that are whole cents, as all are from now on."""

from decimal import ROUND_DOWN, Decimal

from django.db import migrations, models
from django.db.models import Sum


def cut_to_cents(apps, schema_editor):
    """The allocator leaves alone what is finer than it counts: that would lapse."""
    for name in ("StrategyInstance", "ListingGrant"):
        model = apps.get_model("trading", name)
        for row in model.objects.filter(allocation__gt=0).only("allocation"):
            cents = row.allocation.quantize(Decimal("0.01"), rounding=ROUND_DOWN)
            if cents != row.allocation:
                model.objects.filter(pk=row.pk).update(allocation=cents)


def tell_champions(apps, schema_editor):
    """What was taken from a canary its champion has less of from that moment on, no longer only when it ends."""
    Ceiling, Instance, Strategy = (
        apps.get_model("trading", name) for name in ("Ceiling", "StrategyInstance", "Strategy")
    )

    def capital(strategy):
        return Instance.objects.filter(strategy=strategy).aggregate(all=Sum("allocation"))["all"] or 0

    for taken in Ceiling.objects.filter(strategy__model_stage="canary").select_related("strategy"):
        canary = taken.strategy
        missing = taken.was - capital(canary)
        for champion in Strategy.objects.filter(model_family=canary.model_family, model_stage="champion"):
            if f"{champion.name[:33]}-canary" != canary.name or not canary.model_digest or missing <= 0:
                continue
            row = Ceiling.objects.filter(strategy=champion).first()
            most = capital(champion) if row is None else row.most
            was = missing + (most if row is None else row.was)
            Ceiling.objects.update_or_create(
                strategy=champion, defaults={"most": most, "was": was, "by": taken.by, "at": taken.at}
            )


class Migration(migrations.Migration):

    dependencies = [
        ('trading', '0001_squashed_0038_keys_tested_and_revoked'),
    ]

    operations = [
        migrations.AddField(
            model_name='strategyinstance',
            name='split',
            field=models.DecimalField(decimal_places=10, editable=False, help_text='what it had when its strategy last had capital: its share of what comes again', max_digits=28, null=True),
        ),
        migrations.RunPython(cut_to_cents, migrations.RunPython.noop),
        migrations.RunPython(tell_champions, migrations.RunPython.noop),
    ]
