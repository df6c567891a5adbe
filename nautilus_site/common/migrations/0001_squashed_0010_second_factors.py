"""Everything of the app as of 0010_second_factors, in one step; databases of before go on from where they are."""

import datetime
import django.contrib.auth.models
import django.contrib.auth.validators
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

from nautilus_site.common.create_models import CreateModels

# The trail only grows, in every session, also one that takes itself for a replica, and for whoever owns its tables. What
# waits to be sealed is queued by the trail alone.
GUARDS = """
CREATE FUNCTION common_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only: % on % refused', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE ON common_auditentry
    FOR EACH ROW EXECUTE FUNCTION common_audit_refuse();
CREATE TRIGGER audit_entry_no_truncate BEFORE TRUNCATE ON common_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION common_audit_refuse();
CREATE TRIGGER audit_seal_no_change BEFORE UPDATE OR DELETE ON common_auditseal
    FOR EACH ROW EXECUTE FUNCTION common_audit_refuse();
CREATE TRIGGER audit_seal_no_truncate BEFORE TRUNCATE ON common_auditseal
    FOR EACH STATEMENT EXECUTE FUNCTION common_audit_refuse();
CREATE FUNCTION common_audit_queue() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO common_unsealedentry (entry_id) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER audit_entry_queue AFTER INSERT ON common_auditentry
    FOR EACH ROW EXECUTE FUNCTION common_audit_queue();
CREATE FUNCTION common_audit_queue_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'what waits to be sealed is queued by the audit trail alone: % refused', TG_OP
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER audit_queue_guard BEFORE INSERT OR UPDATE ON common_unsealedentry
    FOR EACH ROW EXECUTE FUNCTION common_audit_queue_guard();
ALTER TABLE common_unsealedentry ENABLE ALWAYS TRIGGER audit_queue_guard;
ALTER TABLE common_auditentry ENABLE ALWAYS TRIGGER audit_entry_no_change;
ALTER TABLE common_auditentry ENABLE ALWAYS TRIGGER audit_entry_no_truncate;
ALTER TABLE common_auditentry ENABLE ALWAYS TRIGGER audit_entry_queue;
ALTER TABLE common_auditseal ENABLE ALWAYS TRIGGER audit_seal_no_change;
ALTER TABLE common_auditseal ENABLE ALWAYS TRIGGER audit_seal_no_truncate;
REVOKE UPDATE, DELETE, TRUNCATE ON common_auditentry FROM PUBLIC, CURRENT_USER;
REVOKE UPDATE, DELETE, TRUNCATE ON common_auditseal FROM PUBLIC, CURRENT_USER;
"""
NO_GUARDS = """
DROP FUNCTION common_audit_queue_guard() CASCADE;
DROP FUNCTION common_audit_queue() CASCADE;
DROP FUNCTION common_audit_refuse() CASCADE;
"""


class Migration(migrations.Migration):

    replaces = [
        ('common', '0001_initial'),
        ('common', '0002_audit_verification'),
        ('common', '0003_invitations'),
        ('common', '0004_audit_for_everybody'),
        ('common', '0005_break_glass'),
        ('common', '0006_token_addresses'),
        ('common', '0007_audit_forms'),
        ('common', '0008_change_comments'),
        ('common', '0009_posted_is_not_kept'),
        ('common', '0010_second_factors'),
    ]

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        CreateModels([
                migrations.CreateModel(
                    name='User',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('password', models.CharField(max_length=128, verbose_name='password')),
                        ('last_login', models.DateTimeField(blank=True, null=True, verbose_name='last login')),
                        ('is_superuser', models.BooleanField(default=False, help_text='Designates that this user has all permissions without explicitly assigning them.', verbose_name='superuser status')),
                        ('username', models.CharField(error_messages={'unique': 'A user with that username already exists.'}, help_text='Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.', max_length=150, unique=True, validators=[django.contrib.auth.validators.UnicodeUsernameValidator()], verbose_name='username')),
                        ('first_name', models.CharField(blank=True, max_length=150, verbose_name='first name')),
                        ('last_name', models.CharField(blank=True, max_length=150, verbose_name='last name')),
                        ('email', models.EmailField(blank=True, max_length=254, verbose_name='email address')),
                        ('is_staff', models.BooleanField(default=False, help_text='Designates whether the user can log into this admin site.', verbose_name='staff status')),
                        ('is_active', models.BooleanField(default=True, help_text='Designates whether this user should be treated as active. Unselect this instead of deleting accounts.', verbose_name='active')),
                        ('date_joined', models.DateTimeField(default=django.utils.timezone.now, verbose_name='date joined')),
                        ('role', models.CharField(choices=[('viewer', 'viewer'), ('trader', 'trader'), ('risk_officer', 'risk officer'), ('model_owner', 'model owner'), ('admin', 'admin')], default='viewer', max_length=16)),
                        ('session_epoch', models.PositiveIntegerField(default=0, editable=False, help_text='raised to end every session there is')),
                        ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                        ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
                    ],
                    options={
                        'constraints': [models.CheckConstraint(condition=models.Q(('role__in', ['viewer', 'trader', 'risk_officer', 'model_owner', 'admin'])), name='user_role_known')],
                    },
                    managers=[
                        ('objects', django.contrib.auth.models.UserManager()),
                    ],
                ),
                migrations.CreateModel(
                    name='ApiToken',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_tokens', to=settings.AUTH_USER_MODEL)),
                        ('name', models.CharField(max_length=80)),
                        ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                        ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), blank=True, default=list, help_text='empty = all the role allows', size=None)),
                        ('addresses', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=49), blank=True, default=list, help_text='networks it is taken from; empty = any', size=None)),
                        ('created_at', models.DateTimeField()),
                        ('expires_at', models.DateTimeField()),
                        ('last_used_at', models.DateTimeField(blank=True, null=True)),
                        ('revoked_at', models.DateTimeField(blank=True, null=True)),
                    ],
                ),
                migrations.CreateModel(
                    name='AuditEntry',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('at', models.DateTimeField()),
                        ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                        ('actor_name', models.CharField(help_text='kept as text: a process name where no person acted', max_length=150)),
                        ('action', models.CharField(db_index=True, max_length=80)),
                        ('target', models.CharField(db_index=True, max_length=160)),
                        ('reason', models.TextField(blank=True)),
                        ('before', models.JSONField(null=True)),
                        ('after', models.JSONField(null=True)),
                        ('request_id', models.CharField(blank=True, max_length=64)),
                    ],
                    options={
                        'verbose_name_plural': 'audit entries',
                        'ordering': ['-id'],
                        'indexes': [models.Index(condition=models.Q(('request_id', ''), _negated=True), fields=['request_id', 'id'], name='audit_entry_request')],
                    },
                ),
                migrations.CreateModel(
                    name='AuditSeal',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('form', models.PositiveSmallIntegerField(default=1, help_text='of the canonical text the digests are of: audit_digests.FORM')),
                        ('entry_ids', models.JSONField(help_text='the sealed entries, in sealing order')),
                        ('entry_hashes', models.JSONField(help_text='sha256 of the canonical text of each, to name the one that changed')),
                        ('previous_hash', models.CharField(max_length=64)),
                        ('hash', models.CharField(max_length=64, unique=True)),
                        ('sealed_at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['-id'],
                        'constraints': [models.UniqueConstraint(fields=('previous_hash',), name='audit_chain_does_not_fork')],
                    },
                ),
                migrations.CreateModel(
                    name='AuditVerification',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('state', models.CharField(choices=[('running', 'Running'), ('intact', 'Intact'), ('broken', 'Broken')], default='running', max_length=8)),
                        ('requested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
                        ('requested_at', models.DateTimeField()),
                        ('stepped_at', models.DateTimeField(help_text='when a worker last got further', null=True)),
                        ('finished_at', models.DateTimeField(null=True)),
                        ('seal', models.BigIntegerField(default=0, help_text='the last seal found right')),
                        ('head', models.CharField(blank=True, help_text='its hash', max_length=64)),
                        ('form', models.PositiveSmallIntegerField(default=0, help_text='and its form')),
                        ('rows', models.BigIntegerField(default=0, help_text='sealed entries looked at')),
                        ('notes_end', models.BigIntegerField(default=0, help_text='bytes of the notes outside the database looked at')),
                        ('noted', models.BinaryField(help_text='which seals they vouch for, a bit each, while it runs', null=True)),
                        ('total', models.BigIntegerField(default=0, help_text='entries there were when it was asked for')),
                        ('first_bad_id', models.BigIntegerField(null=True)),
                        ('problem', models.CharField(blank=True, max_length=300)),
                        ('unsealed', models.BigIntegerField(default=0)),
                        ('lost', models.PositiveIntegerField(default=0)),
                    ],
                    options={
                        'ordering': ['-id'],
                        'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'running')), fields=('state',), name='one_audit_verification_at_a_time')],
                    },
                ),
                migrations.CreateModel(
                    name='BreakGlass',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('first', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('second', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('first_hash', models.CharField(editable=False, max_length=128)),
                        ('second_hash', models.CharField(editable=False, max_length=128)),
                        ('failures', models.PositiveSmallIntegerField(default=0)),
                        ('sealed_at', models.DateTimeField()),
                        ('ended_at', models.DateTimeField(help_text='replaced by another seal, or closed after it was opened', null=True)),
                        ('opened_at', models.DateTimeField(null=True)),
                        ('ends_at', models.DateTimeField(null=True)),
                        ('first_was', models.CharField(blank=True, help_text='the role to go back to', max_length=16)),
                        ('second_was', models.CharField(blank=True, max_length=16)),
                        ('reason', models.TextField(blank=True)),
                    ],
                    options={
                        'ordering': ['-id'],
                        'constraints': [models.CheckConstraint(condition=models.Q(('first', models.F('second')), _negated=True), name='break_glass_is_kept_by_two_people'), models.UniqueConstraint(models.Value(1), condition=models.Q(('ended_at', None)), name='break_glass_is_sealed_once'), models.CheckConstraint(condition=models.Q(models.Q(('ends_at', None), ('opened_at', None)), models.Q(('ends_at__lte', django.db.models.expressions.CombinedExpression(models.F('opened_at'), '+', models.Value(datetime.timedelta(seconds=3600)))), ('opened_at__isnull', False)), _connector='OR'), name='break_glass_ends_within_the_hour')],
                    },
                ),
                migrations.CreateModel(
                    name='ChangeRequest',
                    fields=[
                        ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                        ('kind', models.CharField(max_length=48)),
                        ('target', models.CharField(db_index=True, max_length=160)),
                        ('payload', models.JSONField()),
                        ('payload_hash', models.CharField(max_length=64)),
                        ('target_hash', models.CharField(help_text='the target as it was when the request was made', max_length=64)),
                        ('diff', models.JSONField(help_text='{"field": [before, after]}')),
                        ('effect', models.JSONField(default=dict, help_text='what it would do, in numbers')),
                        ('reason', models.TextField()),
                        ('state', models.CharField(choices=[('pending', 'Pending'), ('approved', 'Approved'), ('applied', 'Applied'), ('rejected', 'Rejected'), ('expired', 'Expired'), ('void', 'Void')], db_index=True, default='pending', max_length=12)),
                        ('requester', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='change_requests', to=settings.AUTH_USER_MODEL)),
                        ('approver', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='change_decisions', to=settings.AUTH_USER_MODEL)),
                        ('decision_note', models.TextField(blank=True)),
                        ('created_at', models.DateTimeField()),
                        ('expires_at', models.DateTimeField()),
                        ('decided_at', models.DateTimeField(blank=True, null=True)),
                        ('applied_at', models.DateTimeField(blank=True, null=True)),
                    ],
                    options={
                        'ordering': ['-created_at'],
                        'constraints': [models.CheckConstraint(condition=models.Q(('approver', None), models.Q(('approver', models.F('requester')), _negated=True), _connector='OR'), name='approver_is_not_requester'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'applied'), _negated=True), models.Q(('applied_at__isnull', False), ('approver__isnull', False)), _connector='OR'), name='applied_only_when_approved')],
                    },
                ),
                migrations.CreateModel(
                    name='ChangeComment',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('request', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='comments', to='common.changerequest')),
                        ('author', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('text', models.TextField(max_length=2000)),
                        ('at', models.DateTimeField()),
                    ],
                    options={
                        'ordering': ['id'],
                    },
                ),
                migrations.CreateModel(
                    name='IdempotencyRecord',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
                        ('key', models.CharField(max_length=255)),
                        ('fingerprint', models.CharField(help_text='sha256 of method, path and canonical body', max_length=64)),
                        ('status', models.PositiveSmallIntegerField(null=True)),
                        ('body', models.TextField(help_text='the first answer, byte for byte', null=True)),
                        ('headers', models.JSONField(default=dict, help_text='those of the first answer that belong to it')),
                        ('attempt', models.PositiveIntegerField(default=1, help_text='grows with every take-over; an older one cannot write')),
                        ('claimed_at', models.DateTimeField(help_text='null when the last attempt gave up without an answer', null=True)),
                        ('created_at', models.DateTimeField(db_index=True)),
                        ('completed_at', models.DateTimeField(null=True)),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('user', 'key'), name='idempotency_key_once_per_user')],
                    },
                ),
                migrations.CreateModel(
                    name='Invitation',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='invitation', to=settings.AUTH_USER_MODEL)),
                        ('link_digest', models.CharField(editable=False, max_length=64, null=True, unique=True)),
                        ('link_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('link_expires_at', models.DateTimeField(null=True)),
                        ('code_hash', models.CharField(blank=True, editable=False, max_length=128)),
                        ('code_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                        ('code_expires_at', models.DateTimeField(null=True)),
                        ('failures', models.PositiveSmallIntegerField(default=0)),
                        ('used_at', models.DateTimeField(null=True)),
                    ],
                    options={
                        'constraints': [models.CheckConstraint(condition=models.Q(('link_by', None), ('code_by', None), models.Q(('link_by', models.F('code_by')), _negated=True), _connector='OR'), name='invitation_halves_of_two_people')],
                    },
                ),
                migrations.CreateModel(
                    name='Lease',
                    fields=[
                        ('name', models.CharField(max_length=80, primary_key=True, serialize=False)),
                        ('fence', models.BigIntegerField(default=0)),
                        ('holder', models.CharField(blank=True, max_length=120)),
                        ('build', models.CharField(blank=True, max_length=64)),
                        ('until', models.DateTimeField()),
                    ],
                ),
                migrations.CreateModel(
                    name='OutboxEvent',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('topic', models.CharField(max_length=32)),
                        ('at', models.DateTimeField()),
                        ('data', models.JSONField()),
                        ('event_id', models.BigIntegerField(null=True, unique=True)),
                    ],
                    options={
                        'indexes': [models.Index(condition=models.Q(('event_id', None)), fields=['id'], name='outbox_unnumbered'), models.Index(fields=['topic', '-event_id'], name='outbox_topic_latest')],
                    },
                ),
                migrations.CreateModel(
                    name='SecondFactor',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='second_factor', to=settings.AUTH_USER_MODEL)),
                        ('sealed', models.BinaryField(null=True)),
                        ('confirmed_at', models.DateTimeField(null=True)),
                        ('last_step', models.BigIntegerField(default=0, help_text='no code of this time step or before works again')),
                        ('pending', models.BinaryField(null=True)),
                        ('pending_at', models.DateTimeField(null=True)),
                    ],
                    options={
                        'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('confirmed_at', None), ('sealed', None)), models.Q(('confirmed_at__isnull', False), ('sealed__isnull', False)), _connector='OR'), name='second_factor_is_confirmed_or_has_no_secret')],
                    },
                ),
                migrations.CreateModel(
                    name='RecoveryCode',
                    fields=[
                        ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                        ('factor', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='recovery_codes', to='common.secondfactor')),
                        ('digest', models.CharField(editable=False, max_length=64)),
                        ('used_at', models.DateTimeField(null=True)),
                    ],
                    options={
                        'constraints': [models.UniqueConstraint(fields=('factor', 'digest'), name='recovery_code_is_new')],
                    },
                ),
                migrations.CreateModel(
                    name='SessionUse',
                    fields=[
                        ('digest', models.CharField(editable=False, max_length=64, primary_key=True, serialize=False)),
                        ('at', models.DateTimeField(db_index=True)),
                    ],
                ),
                migrations.CreateModel(
                    name='UnsealedEntry',
                    fields=[
                        ('entry_id', models.BigIntegerField(primary_key=True, serialize=False)),
                    ],
                ),
        ]),
        migrations.RunSQL(GUARDS, NO_GUARDS),
    ]
