from django.db import migrations, models


def periods(apps, schema_editor):
    """Every period that may be changed as a row, so that it can be seen and changed."""
    period = apps.get_model("trading", "SweepPeriod")
    for sweep, every_s in (("S2", 10), ("S3", 30), ("S4", 900)):
        period.objects.get_or_create(sweep=sweep, defaults={"every_s": every_s})


class Migration(migrations.Migration):

    dependencies = [
        ("trading", "0022_caps_by_strategy_and_group"),
    ]

    operations = [
        migrations.RunPython(periods, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="positiontransfer",
            name="kind",
            field=models.CharField(
                choices=[("opening", "Opening"), ("cross", "Cross"), ("dust", "Dust")], max_length=8
            ),
        ),
        migrations.AddIndex(
            model_name="ledgerentry",
            index=models.Index(fields=["account", "id"], name="ledger_by_account"),
        ),
        migrations.AddIndex(
            model_name="fill",
            index=models.Index(fields=["account", "id"], name="fills_by_account"),
        ),
        migrations.AddIndex(
            model_name="reconcilerun",
            index=models.Index(fields=["account", "sweep", "-id"], name="runs_by_account_and_sweep"),
        ),
    ]
