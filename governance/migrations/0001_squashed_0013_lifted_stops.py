"""Everything of the app as of 0013_lifted_stops, in one step; databases of before go on from where they are."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from nautilus_site.common.create_models import CreateModels

# Versions of policies and their activations never change or go; what else is told of once never changes.
GUARDS = """
CREATE FUNCTION governance_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER governance_policyversion_append_only BEFORE UPDATE OR DELETE ON governance_policyversion
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER governance_policyactivation_append_only BEFORE UPDATE OR DELETE ON governance_policyactivation
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER governance_allocationrun_append_only BEFORE UPDATE ON governance_allocationrun
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER governance_allocation_append_only BEFORE UPDATE ON governance_allocation
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER governance_routingdecision_append_only BEFORE UPDATE ON governance_routingdecision
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER governance_rulefiring_append_only BEFORE UPDATE ON governance_rulefiring
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
CREATE TRIGGER governance_afteraction_append_only BEFORE UPDATE ON governance_afteraction
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change();
"""
NO_GUARDS = """
DROP FUNCTION governance_refuse_change() CASCADE;
"""


class Migration(migrations.Migration):

    replaces = [
        ('governance', '0001_initial'),
        ('governance', '0002_history_only_grows'),
        ('governance', '0003_capital_fields'),
        ('governance', '0004_alerts'),
        ('governance', '0005_rules'),
        ('governance', '0006_firings_never_change'),
        ('governance', '0007_schedules'),
        ('governance', '0008_news_is_over'),
        ('governance', '0009_playbooks_that_cannot_measure'),
        ('governance', '0010_game_days_and_after_actions'),
        ('governance', '0011_retries_per_delivery'),
        ('governance', '0012_failing_and_blind'),
        ('governance', '0013_lifted_stops'),
    ]

    initial = True

    dependencies = [
        ('trading', '0001_squashed_0038_keys_tested_and_revoked'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        CreateModels([
                migrations.CreateModel(
                    name='Playbook',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('name', models.SlugField(max_length=40, unique=True)),
                        ('family', models.CharField(choices=[('guardian', 'Guardian'), ('governor', 'Governor')], max_length=8)),
                        ('is_armed', models.BooleanField(default=True)),
                        ('threshold', models.FloatField(help_text='acts at this value, in `unit`')),
                        ('unit', models.CharField(max_length=12)),
                        ('window_s', models.FloatField(help_text='how far back is looked')),
                        ('confirm', models.PositiveSmallIntegerField(default=1, help_text='readings in a row')),
                        ('min_samples', models.PositiveIntegerField(default=1, help_text='what a reading must rest on')),
                        ('cooldown_s', models.FloatField(default=300, help_text='pause before the same scope is acted on again')),
                        ('max_scopes', models.PositiveSmallIntegerField(default=2, help_text='scopes acted on within an hour')),
                        ('blind_after', models.PositiveSmallIntegerField(default=6, help_text='readings in a row that fail before nothing new is risked in the scope')),
                        ('severity', models.CharField(choices=[('success', 'success'), ('info', 'info'), ('warning', 'warning'), ('critical', 'critical')], default='warning', max_length=8)),
                        ('actions', models.JSONField(help_text='steps that lower risk, in the order they are taken')),
                        ('changed_by', models.CharField(max_length=150)),
                        ('changed_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['family', 'name'],
                        'constraints': [models.CheckConstraint(condition=models.Q(('confirm__gte', 1), ('cooldown_s__gte', 0), ('min_samples__gte', 1), ('threshold__gt', 0)), name='playbook_rule_sane')],
                    },
                ),
                migrations.CreateModel(
                    name='Incident',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('kind', models.CharField(max_length=48)),
                        ('scope', models.CharField(max_length=160)),
                        ('severity', models.CharField(choices=[('success', 'success'), ('info', 'info'), ('warning', 'warning'), ('critical', 'critical')], max_length=8)),
                        ('title', models.CharField(max_length=200)),
                        ('state', models.CharField(choices=[('open', 'Open'), ('calm', 'over, not closed yet'), ('closed', 'Closed')], default='open', max_length=6)),
                        ('playbook', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to='governance.playbook')),
                        ('needs_review', models.BooleanField(default=False, help_text='people write down the cause before anything is undone')),
                        ('is_rehearsal', models.BooleanField(default=False)),
                        ('evidence', models.JSONField(default=dict, help_text='what was known when it opened')),
                        ('opened_at', models.DateTimeField()),
                        ('calm_at', models.DateTimeField(blank=True, null=True)),
                        ('closed_at', models.DateTimeField(blank=True, null=True)),
                        ('review', models.TextField(blank=True, help_text='the cause, and why it is over')),
                        ('reviewed_by', models.CharField(blank=True, max_length=150)),
                        ('reviewed_at', models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        'ordering': ['-id'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'closed'), _negated=True), fields=('kind', 'scope', 'is_rehearsal'), name='one_open_incident')],
                    },
                ),
                migrations.CreateModel(
                    name='AfterAction',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('incident', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='after_actions', to='governance.incident')),
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
                    name='Policy',
                    fields=[
                        ('name', models.CharField(choices=[('capital_policy', 'Capital Policy'), ('strategy_weights', 'Strategy Weights'), ('policies', 'Policies')], max_length=24, primary_key=True, serialize=False)),
                        ('active', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.policyversion')),
                    ],
                    options={
                        'verbose_name_plural': 'policies',
                        'ordering': ['name'],
                    },
                ),
                migrations.CreateModel(
                    name='PolicyVersion',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('policy', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='governance.policy')),
                        ('number', models.PositiveIntegerField()),
                        ('document', models.JSONField()),
                        ('digest', models.CharField(help_text='sha256 of the canonical document', max_length=64)),
                        ('reason', models.TextField()),
                        ('created_by', models.ForeignKey(blank=True, help_text="none: the platform's own first version", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('created_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['policy', '-number'],
                        'constraints': [models.UniqueConstraint(fields=('policy', 'number'), name='policy_version_number_once')],
                    },
                ),
                migrations.CreateModel(
                    name='AllocationRun',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('at', models.DateTimeField(db_index=True)),
                        ('trigger', models.CharField(help_text='schedule, command, or who asked', max_length=80)),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='governance.policyversion')),
                        ('outcome', models.CharField(choices=[('applied', 'Applied'), ('proposed', 'applied in part; the rest needs two people'), ('held', 'no amount was changed'), ('refused', 'something it needs was not known; nothing was changed')], max_length=8)),
                        ('method', models.CharField(blank=True, help_text='what gave the weights', max_length=24)),
                        ('equity', models.DecimalField(blank=True, decimal_places=10, max_digits=28, null=True)),
                        ('reserve', models.DecimalField(blank=True, decimal_places=10, max_digits=28, null=True)),
                        ('pool', models.DecimalField(blank=True, decimal_places=10, max_digits=28, null=True)),
                        ('drawdown', models.FloatField(blank=True, null=True)),
                        ('multiplier', models.FloatField(blank=True, null=True)),
                        ('total', models.DecimalField(blank=True, decimal_places=10, help_text='in force after it', max_digits=28, null=True)),
                        ('in_force_until', models.DateTimeField(blank=True, null=True)),
                        ('explanation', models.TextField(help_text='in words and numbers')),
                    ],
                    options={
                        'ordering': ['-id'],
                    },
                ),
                migrations.CreateModel(
                    name='Allocation',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='allocations', to='governance.allocationrun')),
                        ('strategy', models.CharField(max_length=40)),
                        ('weight', models.FloatField(blank=True, help_text='share of the pool the method wants', null=True)),
                        ('before', models.DecimalField(decimal_places=10, max_digits=28)),
                        ('desired', models.DecimalField(decimal_places=10, help_text='by the method, before pace and limits', max_digits=28)),
                        ('amount', models.DecimalField(decimal_places=10, help_text='in force after the run', max_digits=28)),
                        ('proposed', models.DecimalField(blank=True, decimal_places=10, help_text='beyond the envelope: what two people may grant', max_digits=28, null=True)),
                        ('rule', models.CharField(help_text='the one that decided', max_length=32)),
                        ('reason', models.TextField(help_text='in words and numbers')),
                    ],
                    options={
                        'ordering': ['run', 'strategy'],
                        'constraints': [models.UniqueConstraint(fields=('run', 'strategy'), name='strategy_once_per_run'), models.CheckConstraint(condition=models.Q(('amount__gte', 0)), name='amount_not_negative')],
                    },
                ),
                migrations.CreateModel(
                    name='CapitalState',
                    fields=[
                        ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                        ('multiplier', models.FloatField(default=1.0, help_text='of the drawdown throttle, in force')),
                        ('stopped', models.BooleanField(default=False, help_text='the hard drawdown was reached; two people lift it')),
                        ('lifted_at', models.DateTimeField(blank=True, help_text='when two people lifted a stop; empty: never, or equity is back at its peak', null=True)),
                        ('peak_since', models.DecimalField(blank=True, decimal_places=10, help_text='largest equity since then; a fall is measured from it', max_digits=28, null=True)),
                        ('updated_at', models.DateTimeField()),
                    ],
                    options={
                        'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('lifted_at__isnull', True), ('peak_since__isnull', True)), models.Q(('lifted_at__isnull', False), ('peak_since__isnull', False)), _connector='OR'), name='a_lifted_stop_has_a_peak'), models.CheckConstraint(condition=models.Q(('pk', 1)), name='one_capital_state'), models.CheckConstraint(condition=models.Q(('multiplier__gte', 0), ('multiplier__lte', 1)), name='multiplier_is_a_share')],
                    },
                ),
                migrations.CreateModel(
                    name='ComplianceReport',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('day', models.DateField(unique=True)),
                        ('created_at', models.DateTimeField()),
                        ('violations', models.PositiveIntegerField(help_text='hard limits that were broken')),
                        ('content', models.JSONField()),
                        ('digest', models.CharField(help_text='sha256 of the canonical text', max_length=64)),
                        ('path', models.CharField(help_text="the file, under the platform's home", max_length=200)),
                    ],
                    options={
                        'ordering': ['-day'],
                    },
                ),
                migrations.CreateModel(
                    name='EventCursor',
                    fields=[
                        ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                        ('event_id', models.BigIntegerField(default=0)),
                        ('moved_at', models.DateTimeField()),
                    ],
                ),
                migrations.CreateModel(
                    name='GameDay',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                        ('reason', models.CharField(max_length=500)),
                        ('playbooks', models.JSONField(help_text='names, in the order they are rehearsed')),
                        ('skipped', models.JSONField(default=dict, help_text='by name, why it could not be rehearsed')),
                        ('state', models.CharField(choices=[('running', 'Running'), ('done', 'Done'), ('canceled', 'Canceled')], default='running', max_length=8)),
                        ('started_at', models.DateTimeField()),
                        ('finished_at', models.DateTimeField(null=True)),
                    ],
                    options={
                        'ordering': ['-id'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'running')), fields=('state',), name='one_game_day_at_a_time')],
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
                migrations.CreateModel(
                    name='IncidentEntry',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('incident', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='entries', to='governance.incident')),
                        ('at', models.DateTimeField()),
                        ('actor', models.CharField(max_length=150)),
                        ('what', models.CharField(max_length=300)),
                        ('detail', models.JSONField(default=dict)),
                    ],
                    options={
                        'verbose_name_plural': 'incident entries',
                        'ordering': ['id'],
                    },
                ),
                migrations.CreateModel(
                    name='NotificationChannel',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('name', models.SlugField(max_length=40, unique=True)),
                        ('kind', models.CharField(choices=[('slack', 'slack'), ('telegram', 'telegram'), ('discord', 'discord'), ('email', 'email'), ('webhook', 'webhook')], max_length=10)),
                        ('host', models.CharField(help_text='the only host messages of this channel go to', max_length=253)),
                        ('shown', models.JSONField(default=dict, help_text='the members that are no secret')),
                        ('sealed', models.BinaryField()),
                        ('is_enabled', models.BooleanField(default=True)),
                        ('muted_until', models.DateTimeField(blank=True, help_text='critical notices pass all the same', null=True)),
                        ('created_by', models.CharField(max_length=150)),
                        ('changed_at', models.DateTimeField()),
                        ('failures', models.PositiveIntegerField(default=0, help_text='attempts in a row that told nothing')),
                        ('retry_at', models.DateTimeField(blank=True, null=True)),
                        ('last_sent_at', models.DateTimeField(blank=True, null=True)),
                        ('last_error', models.CharField(blank=True, max_length=300)),
                        ('claim', models.CharField(blank=True, help_text='the sending child under way', max_length=32)),
                        ('claimed_until', models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        'ordering': ['name'],
                    },
                ),
                migrations.CreateModel(
                    name='NotificationDelivery',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deliveries', to='governance.notificationchannel')),
                        ('state', models.CharField(choices=[('waiting', 'Waiting'), ('sending', 'Sending'), ('sent', 'Sent'), ('failed', 'given up')], default='waiting', max_length=8)),
                        ('kind', models.CharField(max_length=80)),
                        ('severity', models.CharField(choices=[('success', 'success'), ('info', 'info'), ('warning', 'warning'), ('critical', 'critical')], max_length=8)),
                        ('title', models.CharField(max_length=300)),
                        ('text', models.TextField(blank=True)),
                        ('link', models.CharField(blank=True, max_length=200)),
                        ('subject', models.CharField(blank=True, help_text='what it is about', max_length=240)),
                        ('news', models.CharField(blank=True, help_text='what is new of it', max_length=40)),
                        ('is_over', models.BooleanField(default=False, help_text='other news of the subject came, though not to this channel')),
                        ('event_id', models.BigIntegerField(help_text='the outbox event it tells of; none for a test', null=True)),
                        ('event_at', models.DateTimeField(help_text='when it happened')),
                        ('created_at', models.DateTimeField()),
                        ('due_at', models.DateTimeField()),
                        ('retry_at', models.DateTimeField(help_text='after a failure: not before', null=True)),
                        ('is_digest', models.BooleanField(default=False)),
                        ('repeats', models.PositiveIntegerField(default=0, help_text='how often the same news came again meanwhile')),
                        ('before', models.PositiveIntegerField(default=0, help_text='how often it came before, untold')),
                        ('attempts', models.PositiveIntegerField(default=0)),
                        ('claim', models.CharField(blank=True, max_length=32)),
                        ('message', models.PositiveSmallIntegerField(help_text='its place among what the child was given', null=True)),
                        ('error', models.CharField(blank=True, max_length=300)),
                        ('sent_at', models.DateTimeField(null=True)),
                    ],
                    options={
                        'verbose_name_plural': 'notification deliveries',
                        'ordering': ['-id'],
                        'indexes': [models.Index(condition=models.Q(('state', 'waiting')), fields=['channel', 'due_at'], name='deliveries_waiting'), models.Index(fields=['channel', 'subject', '-id'], name='deliveries_by_subject')],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('event_id__isnull', False)), fields=('channel', 'event_id'), name='one_delivery_per_event')],
                    },
                ),
                migrations.CreateModel(
                    name='NotificationRoute',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('channel', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='routes', to='governance.notificationchannel')),
                        ('kind', models.CharField(help_text='`*`, a kind, or a wider one with `.*` behind', max_length=80)),
                        ('severity', models.CharField(choices=[('success', 'success'), ('info', 'info'), ('warning', 'warning'), ('critical', 'critical')], default='warning', max_length=8)),
                        ('digest_s', models.PositiveIntegerField(default=0, help_text='collect for so long, then send one message; 0 sends at once, as critical ones always are')),
                        ('dedupe_s', models.PositiveIntegerField(default=300, help_text='the same news within this time is counted, not sent')),
                        ('is_enabled', models.BooleanField(default=True)),
                        ('changed_by', models.CharField(max_length=150)),
                        ('changed_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['channel__name', 'kind'],
                        'constraints': [models.UniqueConstraint(fields=('channel', 'kind'), name='one_route_per_kind')],
                    },
                ),
                migrations.CreateModel(
                    name='Rehearsal',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('playbook', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='rehearsals', to='governance.playbook')),
                        ('requested_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                        ('game_day', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='rehearsals', to='governance.gameday')),
                        ('state', models.CharField(choices=[('watching', 'the fault is in'), ('stuck', 'the fault could not be taken out yet'), ('scored', 'Scored'), ('failed', 'could not be carried out')], default='watching', max_length=8)),
                        ('scope', models.CharField(max_length=120)),
                        ('fault', models.JSONField(default=dict, help_text='what was put in, and how it is taken out')),
                        ('injected_at', models.DateTimeField()),
                        ('deadline_at', models.DateTimeField()),
                        ('incident', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to='governance.incident')),
                        ('score', models.PositiveSmallIntegerField(help_text='of 100', null=True)),
                        ('findings', models.JSONField(default=list)),
                        ('finished_at', models.DateTimeField(null=True)),
                        ('error', models.CharField(blank=True, max_length=300)),
                    ],
                    options={
                        'ordering': ['-id'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'watching')), fields=('state',), name='one_rehearsal_at_a_time')],
                    },
                ),
                migrations.CreateModel(
                    name='PlaybookRun',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('playbook', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='governance.playbook')),
                        ('incident', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='governance.incident')),
                        ('scope', models.CharField(max_length=120)),
                        ('measured', models.FloatField(null=True)),
                        ('threshold', models.FloatField()),
                        ('held_back', models.BooleanField(default=False, help_text='the blast radius was reached: nothing was done')),
                        ('rehearsal', models.ForeignKey(blank=True, help_text='whose fault set it off; none where it really happened', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='governance.rehearsal')),
                        ('at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['-id'],
                        'indexes': [models.Index(fields=['playbook', '-at'], name='runs_by_playbook')],
                    },
                ),
                migrations.CreateModel(
                    name='PlaybookAction',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='actions', to='governance.playbookrun')),
                        ('number', models.PositiveSmallIntegerField()),
                        ('verb', models.CharField(max_length=10)),
                        ('scope', models.CharField(max_length=120)),
                        ('parameters', models.JSONField()),
                        ('before', models.JSONField(null=True)),
                        ('after', models.JSONField(null=True)),
                        ('state', models.CharField(choices=[('done', 'done, not verified yet'), ('verified', 'Verified'), ('standing', 'in force already'), ('failed', 'Failed'), ('undone', 'Undone')], default='done', max_length=8)),
                        ('at', models.DateTimeField()),
                        ('verified_at', models.DateTimeField(null=True)),
                        ('error', models.CharField(blank=True, max_length=300)),
                        ('undo_request', models.CharField(blank=True, help_text='the change request that takes it back', max_length=36)),
                    ],
                    options={
                        'ordering': ['id'],
                        'constraints': [models.UniqueConstraint(fields=('run', 'number'), name='one_action_per_number')],
                    },
                ),
                migrations.CreateModel(
                    name='PlaybookWatch',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('playbook', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='watches', to='governance.playbook')),
                        ('scope', models.CharField(max_length=120)),
                        ('value', models.FloatField(null=True)),
                        ('samples', models.PositiveIntegerField(default=0)),
                        ('detail', models.CharField(blank=True, max_length=300)),
                        ('verdict', models.CharField(blank=True, max_length=10)),
                        ('sightings', models.PositiveIntegerField(default=0, help_text='readings in a row that reached the threshold')),
                        ('unmeasured', models.PositiveIntegerField(default=0, help_text='readings in a row that failed')),
                        ('read_at', models.DateTimeField()),
                        ('ran_at', models.DateTimeField(null=True)),
                    ],
                    options={
                        'verbose_name_plural': 'playbook watches',
                        'constraints': [models.UniqueConstraint(fields=('playbook', 'scope'), name='one_watch_per_scope')],
                    },
                ),
                migrations.CreateModel(
                    name='PolicyActivation',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('policy', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='activations', to='governance.policy')),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='activations', to='governance.policyversion')),
                        ('before', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.policyversion')),
                        ('at', models.DateTimeField()),
                        ('by', models.CharField(help_text='one person, or the two who agreed', max_length=320)),
                        ('reason', models.TextField()),
                    ],
                    options={
                        'ordering': ['-id'],
                    },
                ),
                migrations.CreateModel(
                    name='RoutingDecision',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('at', models.DateTimeField(db_index=True)),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='routing_decisions', to='governance.policyversion')),
                        ('strategy', models.CharField(max_length=40)),
                        ('account', models.CharField(max_length=40)),
                        ('symbol', models.CharField(max_length=32)),
                        ('base', models.DecimalField(decimal_places=8, help_text='by the weight set', max_digits=9)),
                        ('before', models.DecimalField(decimal_places=8, max_digits=9)),
                        ('weight', models.DecimalField(decimal_places=8, help_text='in force after it', max_digits=9)),
                        ('rule', models.CharField(max_length=32)),
                        ('reason', models.TextField(help_text='in words and numbers')),
                        ('regime', models.JSONField(blank=True, help_text='regime -> probability, where it decided', null=True)),
                    ],
                    options={
                        'ordering': ['-id'],
                        'indexes': [models.Index(fields=['strategy', '-id'], name='routing_by_strategy')],
                    },
                ),
                migrations.CreateModel(
                    name='RuleCursor',
                    fields=[
                        ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                        ('event_id', models.BigIntegerField()),
                        ('moved_at', models.DateTimeField()),
                        ('unknown', models.JSONField(db_default={}, default=dict, help_text='rules that cannot be judged: name to since when')),
                    ],
                    options={
                        'constraints': [models.CheckConstraint(condition=models.Q(('pk', 1)), name='one_rule_cursor')],
                    },
                ),
                migrations.CreateModel(
                    name='RuleFiring',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='firings', to='governance.policyversion')),
                        ('rule', models.CharField(max_length=60)),
                        ('trigger', models.CharField(max_length=40)),
                        ('event_id', models.BigIntegerField(blank=True, null=True)),
                        ('at', models.DateTimeField(db_index=True)),
                        ('evidence', models.JSONField(help_text='the facts the condition looked at')),
                        ('action', models.CharField(max_length=40)),
                        ('outcome', models.CharField(choices=[('done', 'Done'), ('standing', 'in force already'), ('observed', 'the autopilot is off: nothing was done'), ('failed', 'Failed'), ('unknown', 'it could not be judged')], max_length=8)),
                        ('detail', models.TextField(help_text='what changed, or why nothing did')),
                    ],
                    options={
                        'ordering': ['-id'],
                        'indexes': [models.Index(fields=['rule', '-at'], name='firings_by_rule')],
                    },
                ),
                migrations.CreateModel(
                    name='ScheduleState',
                    fields=[
                        ('name', models.CharField(help_text='of the periodic task', max_length=200, primary_key=True, serialize=False)),
                        ('since', models.DateTimeField(help_text='when it was first seen; lateness counts from here at first')),
                        ('sent_at', models.DateTimeField(null=True)),
                        ('sent_by', models.CharField(blank=True, max_length=80)),
                        ('finished_at', models.DateTimeField(null=True)),
                        ('duration_s', models.FloatField(null=True)),
                        ('result', models.CharField(blank=True, choices=[('ok', 'Ok'), ('failed', 'Failed')], max_length=6)),
                        ('error', models.CharField(blank=True, max_length=300)),
                        ('runs', models.BigIntegerField(default=0)),
                        ('failures', models.BigIntegerField(default=0)),
                        ('failures_in_row', models.BigIntegerField(db_default=0, default=0, help_text='since it last ended well')),
                        ('failing_since', models.DateTimeField(help_text='when the first of these ended', null=True)),
                        ('refused', models.BigIntegerField(default=0, help_text='messages a second beat would have sent')),
                    ],
                    options={
                        'ordering': ['name'],
                    },
                ),
        ]),
        migrations.RunSQL(GUARDS, NO_GUARDS),
    ]
