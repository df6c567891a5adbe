"""How people arranged the panels of pages, for themselves or for a role."""

from django.conf import settings
from django.db import migrations, models
import django.db.models.deletion


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0014_peak_without_deposits'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='PageLayout',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('page', models.CharField(help_text='the name of its route', max_length=40)),
                ('role', models.CharField(blank=True, choices=[('viewer', 'viewer'), ('trader', 'trader'), ('risk_officer', 'risk officer'), ('model_owner', 'model owner'), ('admin', 'admin')], max_length=16)),
                ('places', models.JSONField(help_text='panels in their order: name, and width, height and folded where set')),
                ('changed_at', models.DateTimeField()),
                ('person', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='page_layouts', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['page', 'role', 'person_id'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('person__isnull', False), ('role', '')), models.Q(('person__isnull', True), ('role__in', ['viewer', 'trader', 'risk_officer', 'model_owner', 'admin'])), _connector='OR'), name='page_layout_of_one'), models.UniqueConstraint(fields=('page', 'person', 'role'), name='page_layout_once', nulls_distinct=False)],
            },
        ),
    ]
