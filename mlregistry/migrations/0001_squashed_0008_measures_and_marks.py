"""Everything of the app as of 0008_measures_and_marks, in one step; databases of before go on from where they are."""

import django.db.models.deletion
import mlregistry.domain.stages
import uuid
from django.conf import settings
from django.db import migrations, models

from nautilus_site.common.create_models import CreateModels

# Changes of stage are facts, and so is a verdict that is over. An artefact's bytes may be let go, and come back as they
# were; what was ever canary or champion keeps them whoever asks.
GUARDS = """
CREATE FUNCTION mlregistry_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER mlregistry_stagechange_append_only BEFORE UPDATE OR DELETE ON mlregistry_stagechange
    FOR EACH ROW EXECUTE FUNCTION mlregistry_refuse_change();
CREATE FUNCTION mlregistry_refuse_rejudging() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a verdict that is over is append-only' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER mlregistry_gateverdict_over BEFORE UPDATE OR DELETE ON mlregistry_gateverdict
FOR EACH ROW WHEN (OLD.state IN ('done', 'failed', 'canceled')) EXECUTE FUNCTION mlregistry_refuse_rejudging();
CREATE FUNCTION mlregistry_guard_artefact() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.digest = OLD.digest AND NEW.stored_at = OLD.stored_at THEN
        IF OLD.pruned_at IS NULL AND NEW.pruned_at IS NOT NULL
            AND length(NEW.document) = 0 AND length(NEW.arrays) = 0 THEN
            IF EXISTS (
                SELECT 1 FROM mlregistry_stagechange c JOIN mlregistry_modelversion v ON v.id = c.version_id
                WHERE v.artefact_id = OLD.digest AND c.to_stage IN ('canary', 'champion')
            ) THEN
                RAISE EXCEPTION 'model % served: its bytes are append-only', OLD.digest
                    USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END IF;
        IF OLD.pruned_at IS NOT NULL AND NEW.pruned_at IS NULL AND length(NEW.document) > 0
            AND encode(sha256(NEW.document), 'hex') = OLD.digest THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER mlregistry_modelartefact_append_only BEFORE UPDATE OR DELETE ON mlregistry_modelartefact
FOR EACH ROW EXECUTE FUNCTION mlregistry_guard_artefact();
"""
NO_GUARDS = """
DROP FUNCTION mlregistry_refuse_change() CASCADE;
DROP FUNCTION mlregistry_refuse_rejudging() CASCADE;
DROP FUNCTION mlregistry_guard_artefact() CASCADE;
"""


class Migration(migrations.Migration):

    replaces = [
        ('mlregistry', '0001_registry'),
        ('mlregistry', '0002_history_only_grows'),
        ('mlregistry', '0003_gate_verdicts'),
        ('mlregistry', '0004_shadows_and_canaries'),
        ('mlregistry', '0005_drift_and_envelopes'),
        ('mlregistry', '0006_artefacts_pruned'),
        ('mlregistry', '0007_canary_steps'),
        ('mlregistry', '0008_measures_and_marks'),
    ]

    initial = True

    dependencies = [
        ('trading', '0001_squashed_0038_keys_tested_and_revoked'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        CreateModels([
                migrations.CreateModel(
                    name='ModelFamily',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('name', models.SlugField(max_length=80, unique=True)),
                        ('kind', models.CharField(help_text='hmm or hierarchical_hmm', max_length=24)),
                        ('symbol', models.CharField(max_length=32)),
                        ('market', models.CharField(max_length=8)),
                        ('interval', models.CharField(max_length=4)),
                        ('envelope', models.JSONField(blank=True, default=dict, help_text='what may happen by itself, as approved; empty: nothing')),
                        ('created_at', models.DateTimeField()),
                    ],
                    options={
                        'verbose_name_plural': 'model families',
                        'ordering': ['name'],
                    },
                ),
                migrations.CreateModel(
                    name='ModelArtefact',
                    fields=[
                        ('digest', models.CharField(max_length=64, primary_key=True, serialize=False)),
                        ('document', models.BinaryField()),
                        ('arrays', models.BinaryField()),
                        ('stored_at', models.DateTimeField()),
                        ('pruned_at', models.DateTimeField(blank=True, help_text='when its bytes were let go; it never served', null=True)),
                    ],
                ),
                migrations.CreateModel(
                    name='Dataset',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('symbol', models.CharField(max_length=32)),
                        ('market', models.CharField(max_length=8)),
                        ('interval', models.CharField(max_length=4)),
                        ('bars_sha256', models.CharField(max_length=64, unique=True)),
                        ('file_sha256', models.CharField(help_text='of the stored file they were read from', max_length=64)),
                        ('start_at', models.DateTimeField(help_text='close of the first bar')),
                        ('end_at', models.DateTimeField(help_text='close of the last bar')),
                        ('bars', models.PositiveIntegerField()),
                        ('stretches', models.PositiveIntegerField(help_text='parts without a hole')),
                        ('created_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['-id'],
                    },
                ),
                migrations.CreateModel(
                    name='TrainingStudy',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('uid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                        ('asked', models.JSONField(help_text='what was asked for, before it was spread over runs')),
                        ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                        ('created_at', models.DateTimeField()),
                        ('finished_at', models.DateTimeField(null=True)),
                    ],
                    options={
                        'verbose_name_plural': 'training studies',
                        'ordering': ['-id'],
                    },
                ),
                migrations.CreateModel(
                    name='TrainingRun',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('uid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                        ('study', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='mlregistry.trainingstudy')),
                        ('family', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='training_runs', to='mlregistry.modelfamily')),
                        ('asked', models.JSONField(help_text='recipe and window as asked for')),
                        ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('canceled', 'Canceled')], default='queued', max_length=8)),
                        ('stage', models.CharField(blank=True, help_text='what it is doing now', max_length=60)),
                        ('done', models.PositiveIntegerField(default=0)),
                        ('total', models.PositiveIntegerField(default=0)),
                        ('log_likelihood', models.JSONField(default=list, help_text='trace of the running or winning fit')),
                        ('cancel_requested_at', models.DateTimeField(blank=True, null=True)),
                        ('attempts', models.PositiveSmallIntegerField(default=0)),
                        ('error', models.TextField(blank=True)),
                        ('dataset', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='mlregistry.dataset')),
                        ('digest', models.CharField(blank=True, max_length=64)),
                        ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                        ('created_at', models.DateTimeField()),
                        ('started_at', models.DateTimeField(null=True)),
                        ('beat_at', models.DateTimeField(help_text='last sign of life while running', null=True)),
                        ('finished_at', models.DateTimeField(null=True)),
                    ],
                    options={
                        'ordering': ['-id'],
                        'indexes': [models.Index(condition=models.Q(('state__in', ['queued', 'running'])), fields=['id'], name='training_unfinished')],
                    },
                ),
                migrations.CreateModel(
                    name='ModelVersion',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('family', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='mlregistry.modelfamily')),
                        ('number', models.PositiveIntegerField()),
                        ('artefact', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='mlregistry.modelartefact')),
                        ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='mlregistry.dataset')),
                        ('run', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='version', to='mlregistry.trainingrun')),
                        ('parent', models.ForeignKey(blank=True, help_text='the champion when this was trained, whose state names it keeps where they match', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='children', to='mlregistry.modelversion')),
                        ('stage', models.CharField(choices=[('candidate', 'candidate'), ('shadow', 'shadow'), ('canary', 'canary'), ('champion', 'champion'), ('retired', 'retired')], default=mlregistry.domain.stages.Stage['CANDIDATE'], max_length=9)),
                        ('lineage', models.JSONField(help_text="the artefact's own: data, recipe, seed, scores")),
                        ('metrics', models.JSONField(default=dict)),
                        ('build', models.CharField(blank=True, help_text='the code that trained it', max_length=64)),
                        ('notes', models.TextField(blank=True)),
                        ('created_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                        ('created_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['-id'],
                        'constraints': [models.UniqueConstraint(fields=('family', 'number'), name='version_number_once'), models.UniqueConstraint(fields=('family', 'artefact'), name='artefact_once_per_family'), models.UniqueConstraint(condition=models.Q(('stage', mlregistry.domain.stages.Stage['CHAMPION'])), fields=('family',), name='one_champion'), models.UniqueConstraint(condition=models.Q(('stage', mlregistry.domain.stages.Stage['CANARY'])), fields=('family',), name='one_canary')],
                    },
                ),
                migrations.CreateModel(
                    name='Canary',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('uid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='canaries', to='mlregistry.modelversion')),
                        ('champion', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='mlregistry.modelversion')),
                        ('follower', models.ForeignKey(help_text='decides with the champion', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.strategy')),
                        ('strategy', models.ForeignKey(help_text='decides with the canary', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.strategy')),
                        ('state', models.CharField(choices=[('running', 'Running'), ('won', 'Won'), ('harmed', 'Harmed'), ('breached', 'Breached'), ('ended', 'Ended')], default='running', max_length=8)),
                        ('rules', models.JSONField(help_text='share, cap, alpha, interval, guard rails: as approved')),
                        ('capital', models.DecimalField(decimal_places=10, help_text='granted to the canary', max_digits=28)),
                        ('champion_capital', models.DecimalField(decimal_places=10, help_text='left to the champion', max_digits=28)),
                        ('step', models.PositiveSmallIntegerField(default=1, help_text="1: the first size; 2: the ramp's")),
                        ('step_at', models.DateTimeField(help_text='when the present step began; null: with the canary', null=True)),
                        ('backtest_drawdown', models.FloatField(help_text='what its backtest was under 99 % of the time; null without a verdict', null=True)),
                        ('mark_at', models.DateTimeField(help_text='end of the last interval; null before both decided', null=True)),
                        ('marks', models.JSONField(default=dict, help_text="by account and symbol then: result and capital of the canary, and the champion's")),
                        ('begun_canary', models.DecimalField(decimal_places=18, default=0, help_text="the canary's result when it began", max_digits=38)),
                        ('peak_canary', models.DecimalField(decimal_places=18, default=0, max_digits=38)),
                        ('day', models.DateField(null=True)),
                        ('day_canary', models.DecimalField(decimal_places=18, default=0, help_text="the canary's result when the UTC day began", max_digits=38)),
                        ('unmeasured_since', models.DateTimeField(help_text='since when its worth could not be told', null=True)),
                        ('n', models.PositiveIntegerField(default=0)),
                        ('log_e', models.FloatField(null=True)),
                        ('best_log_e', models.FloatField(default=0.0)),
                        ('harm_log_e', models.FloatField(default=0.0, help_text='largest so far of the mirrored test')),
                        ('low', models.FloatField(help_text='confidence sequence of the mean difference', null=True)),
                        ('high', models.FloatField(null=True)),
                        ('rails', models.JSONField(default=list, help_text='the guard rails as last measured')),
                        ('checked_at', models.DateTimeField(null=True)),
                        ('reason', models.TextField(blank=True)),
                        ('started_at', models.DateTimeField()),
                        ('ended_at', models.DateTimeField(null=True)),
                        ('cool_until', models.DateTimeField(help_text='before this the version may not try again', null=True)),
                        ('closed_at', models.DateTimeField(help_text='when its position was gone and it was switched off', null=True)),
                    ],
                    options={
                        'verbose_name_plural': 'canaries',
                        'ordering': ['-id'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['running', 'won'])), fields=('follower',), name='one_canary_per_follower')],
                    },
                ),
                migrations.CreateModel(
                    name='CanaryObservation',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('canary', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='observations', to='mlregistry.canary')),
                        ('number', models.PositiveIntegerField()),
                        ('from_at', models.DateTimeField()),
                        ('to_at', models.DateTimeField()),
                        ('canary_return', models.FloatField()),
                        ('champion_return', models.FloatField()),
                    ],
                    options={
                        'ordering': ['number'],
                        'constraints': [models.UniqueConstraint(fields=('canary', 'number'), name='canary_observed_once')],
                    },
                ),
                migrations.CreateModel(
                    name='DriftReport',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='drift', to='mlregistry.modelversion')),
                        ('day', models.DateField()),
                        ('bars', models.PositiveIntegerField(help_text='scored on this day')),
                        ('window', models.PositiveIntegerField(help_text='rows behind the stability index and the occupancy')),
                        ('psi', models.JSONField(default=dict, help_text='population stability index of each feature')),
                        ('occupancy', models.JSONField(default=dict, help_text='share of time in each state: trained and now')),
                        ('occupancy_index', models.FloatField(help_text='stability index of the time in each state; null with too few rows', null=True)),
                        ('occupancy_limit', models.FloatField(help_text="above which the time in each state is an alarm: by the model's own chain", null=True)),
                        ('score_mean', models.FloatField(help_text="of the day's one-step log scores, nats", null=True)),
                        ('score_reference', models.FloatField(help_text="mean of the training's")),
                        ('cusum', models.FloatField(help_text='level after the last bar; it begins anew after an alarm')),
                        ('cusum_peak', models.FloatField(help_text='highest level of the day')),
                        ('threshold', models.FloatField()),
                        ('alarms', models.PositiveIntegerField(default=0, help_text='of the log score on this day')),
                        ('alarmed', models.JSONField(default=list, help_text='the measures that raised an alarm on this day')),
                        ('verdict', models.CharField(choices=[('stable', 'stable'), ('watch', 'watch'), ('alarm', 'alarm')], default='stable', max_length=6)),
                        ('last_bar_at', models.DateTimeField(help_text='close of the last bar scored')),
                        ('measured_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['-day', '-id'],
                        'constraints': [models.UniqueConstraint(fields=('version', 'day'), name='one_drift_report_a_day')],
                    },
                ),
                migrations.CreateModel(
                    name='GateVerdict',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('uid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='verdicts', to='mlregistry.modelversion')),
                        ('champion', models.ForeignKey(blank=True, help_text='whom it was judged beside; none: holding nothing', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='mlregistry.modelversion')),
                        ('asked', models.JSONField(help_text='folds, bars and first training part as asked for')),
                        ('state', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('done', 'Done'), ('failed', 'Failed'), ('canceled', 'Canceled')], default='queued', max_length=8)),
                        ('stage', models.CharField(blank=True, help_text='what it is doing now', max_length=60)),
                        ('done', models.PositiveIntegerField(default=0)),
                        ('total', models.PositiveIntegerField(default=0)),
                        ('passed', models.BooleanField(null=True)),
                        ('criteria', models.JSONField(default=list, help_text='name, measured, limit, passed of each, in order')),
                        ('figures', models.JSONField(default=dict, help_text='the numbers behind the criteria')),
                        ('policy', models.JSONField(default=dict, help_text='the strategy and parameters both were judged under')),
                        ('bars_sha256', models.CharField(blank=True, help_text='of the stored file of bars', max_length=64)),
                        ('error', models.TextField(blank=True)),
                        ('cancel_requested_at', models.DateTimeField(blank=True, null=True)),
                        ('attempts', models.PositiveSmallIntegerField(default=0)),
                        ('requested_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                        ('created_at', models.DateTimeField()),
                        ('started_at', models.DateTimeField(null=True)),
                        ('beat_at', models.DateTimeField(help_text='last sign of life while running', null=True)),
                        ('finished_at', models.DateTimeField(null=True)),
                    ],
                    options={
                        'ordering': ['-id'],
                        'indexes': [models.Index(condition=models.Q(('state__in', ['queued', 'running'])), fields=['id'], name='verdicts_unfinished'), models.Index(fields=['version', '-finished_at'], name='verdicts_by_version')],
                    },
                ),
                migrations.CreateModel(
                    name='ShadowDecision',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shadow_decisions', to='mlregistry.modelversion')),
                        ('instance', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='trading.strategyinstance')),
                        ('bar_open_at', models.DateTimeField()),
                        ('price', models.DecimalField(decimal_places=10, help_text="the bar's close", max_digits=28)),
                        ('target', models.FloatField()),
                        ('confidence', models.FloatField()),
                        ('reason', models.CharField(max_length=60)),
                        ('decided_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['-bar_open_at', '-id'],
                        'constraints': [models.UniqueConstraint(fields=('version', 'instance', 'bar_open_at'), name='shadow_decides_once_a_bar')],
                    },
                ),
                migrations.CreateModel(
                    name='ShadowTrack',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shadow_tracks', to='mlregistry.modelversion')),
                        ('instance', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='trading.strategyinstance')),
                        ('state', models.JSONField(null=True)),
                        ('parameters_digest', models.CharField(blank=True, max_length=64)),
                        ('last_bar_at', models.DateTimeField(help_text='open time of the last bar stepped', null=True)),
                        ('error', models.TextField(blank=True, help_text='why it does not decide; empty while it does')),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('version', 'instance'), name='one_shadow_per_instance')],
                    },
                ),
                migrations.CreateModel(
                    name='StageChange',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stage_changes', to='mlregistry.modelversion')),
                        ('from_stage', models.CharField(blank=True, max_length=9)),
                        ('to_stage', models.CharField(max_length=9)),
                        ('reason', models.TextField()),
                        ('actor', models.CharField(max_length=150)),
                        ('approval', models.CharField(blank=True, help_text='the change request, where one was needed', max_length=36)),
                        ('evidence', models.JSONField(default=dict, help_text="the gate's numbers, where a gate decided")),
                        ('at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['-id'],
                        'indexes': [models.Index(fields=['version', 'at'], name='stages_by_time')],
                    },
                ),
                migrations.CreateModel(
                    name='TruthReport',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='truth', to='mlregistry.modelversion')),
                        ('day', models.DateField(help_text='of the last bar measured')),
                        ('rows', models.PositiveIntegerField(help_text='bars measured, all after training')),
                        ('accuracy', models.FloatField(help_text='share whose likeliest state is that of the true regime')),
                        ('always', models.FloatField(help_text='what naming the commonest state all the time would get')),
                        ('probability', models.FloatField(help_text='mean filtered probability of the right state')),
                        ('matched', models.JSONField(help_text='the state each true regime goes by')),
                        ('recall', models.JSONField(help_text='share named rightly, by true regime')),
                        ('confusion', models.JSONField(help_text='by true regime: how many bars each state was named in')),
                        ('from_at', models.DateTimeField()),
                        ('to_at', models.DateTimeField()),
                        ('measured_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['-day', '-id'],
                        'constraints': [models.UniqueConstraint(fields=('version', 'day'), name='one_truth_report_a_day')],
                    },
                ),
        ]),
        migrations.RunSQL(GUARDS, NO_GUARDS),
    ]
