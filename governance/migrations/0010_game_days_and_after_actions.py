"""Game days, after-actions, hours in which playbooks were judged; a run knows the rehearsal it comes from."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

APPEND_ONLY = """
CREATE TRIGGER governance_afteraction_append_only BEFORE UPDATE ON governance_afteraction
FOR EACH ROW EXECUTE FUNCTION governance_refuse_change()
"""
# A run of before comes from the rehearsal that was under way when its rehearsed incident heard of it; one that
# joined such an incident later really happened.
BEHIND = """
SET CONSTRAINTS ALL IMMEDIATE;
UPDATE governance_playbookrun run SET rehearsal_id = rehearsal.id
FROM governance_rehearsal rehearsal, governance_incident incident
WHERE incident.id = run.incident_id AND incident.is_rehearsal AND rehearsal.playbook_id = run.playbook_id
  AND run.at >= rehearsal.injected_at AND run.at <= COALESCE(rehearsal.finished_at, rehearsal.deadline_at)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0009_playbooks_that_cannot_measure'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AfterAction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('author', models.CharField(max_length=150)),
                ('what_happened', models.TextField()),
                ('root_cause', models.TextField()),
                ('what_will_change', models.TextField()),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='GameDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(max_length=500)),
                ('playbooks', models.JSONField(help_text='names, in the order they are rehearsed')),
                ('skipped', models.JSONField(default=dict, help_text='by name, why it could not be rehearsed')),
                ('state', models.CharField(choices=[('running', 'Running'), ('done', 'Done'), ('canceled', 'Canceled')], default='running', max_length=8)),
                ('started_at', models.DateTimeField()),
                ('finished_at', models.DateTimeField(null=True)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='GuardianHour',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.DateTimeField(unique=True)),
                ('judged', models.PositiveIntegerField(default=0, help_text='times all of them were judged')),
                ('last_at', models.DateTimeField()),
                ('longest_pause_s', models.FloatField(default=0, help_text='between two of them that ended in this hour')),
            ],
            options={
                'ordering': ['-hour'],
            },
        ),
        migrations.RemoveConstraint(
            model_name='incident',
            name='one_open_incident',
        ),
        migrations.AddField(
            model_name='playbookrun',
            name='rehearsal',
            field=models.ForeignKey(blank=True, help_text='whose fault set it off; none where it really happened', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='governance.rehearsal'),
        ),
        migrations.AlterField(
            model_name='rehearsal',
            name='state',
            field=models.CharField(choices=[('watching', 'the fault is in'), ('stuck', 'the fault could not be taken out yet'), ('scored', 'Scored'), ('failed', 'could not be carried out')], default='watching', max_length=8),
        ),
        migrations.AddConstraint(
            model_name='incident',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'closed'), _negated=True), fields=('kind', 'scope', 'is_rehearsal'), name='one_open_incident'),
        ),
        migrations.AddField(
            model_name='afteraction',
            name='incident',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='after_actions', to='governance.incident'),
        ),
        migrations.AddField(
            model_name='gameday',
            name='requested_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='rehearsal',
            name='game_day',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='rehearsals', to='governance.gameday'),
        ),
        migrations.AddConstraint(
            model_name='gameday',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'running')), fields=('state',), name='one_game_day_at_a_time'),
        ),
        migrations.RunSQL(
            APPEND_ONLY, "DROP TRIGGER IF EXISTS governance_afteraction_append_only ON governance_afteraction"
        ),
        migrations.RunSQL(BEHIND, migrations.RunSQL.noop),
    ]
