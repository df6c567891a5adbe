"""The peak since a lifted stop is kept without what came in, so that a deposit or a withdrawal is no result."""

from django.db import migrations, models
from django.db.models import F, Sum


def take_what_came_in_off(apps, schema_editor):
    moved = apps.get_model("trading", "Account").objects.aggregate(all=Sum("transferred"))["all"] or 0
    state = apps.get_model("governance", "CapitalState")
    state.objects.filter(peak_since__isnull=False).update(peak_since=F("peak_since") - moved)


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0001_squashed_0013_lifted_stops'),
    ]

    operations = [
        migrations.AlterField(
            model_name='capitalstate',
            name='peak_since',
            field=models.DecimalField(blank=True, decimal_places=10, help_text='largest equity since then, less all that came in by deposits until then; with what has come in by now a fall is measured from it', max_digits=28, null=True),
        ),
        migrations.RunPython(take_what_came_in_off, migrations.RunPython.noop),
    ]
