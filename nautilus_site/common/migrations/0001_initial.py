
import django.contrib.auth.models
import django.contrib.auth.validators
import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models


AUDIT_TRIGGERS = """
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
"""
DROP_AUDIT_TRIGGERS = """
DROP TRIGGER audit_entry_queue ON common_auditentry;
DROP TRIGGER audit_entry_no_change ON common_auditentry;
DROP TRIGGER audit_entry_no_truncate ON common_auditentry;
DROP TRIGGER audit_seal_no_change ON common_auditseal;
DROP TRIGGER audit_seal_no_truncate ON common_auditseal;
DROP FUNCTION common_audit_queue();
DROP FUNCTION common_audit_refuse();
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
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
            name='UnsealedEntry',
            fields=[
                ('entry_id', models.BigIntegerField(primary_key=True, serialize=False)),
            ],
        ),
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
                ('groups', models.ManyToManyField(blank=True, help_text='The groups this user belongs to. A user will get all permissions granted to each of their groups.', related_name='user_set', related_query_name='user', to='auth.group', verbose_name='groups')),
                ('user_permissions', models.ManyToManyField(blank=True, help_text='Specific permissions for this user.', related_name='user_set', related_query_name='user', to='auth.permission', verbose_name='user permissions')),
            ],
            managers=[
                ('objects', django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80)),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), blank=True, default=list, help_text='empty = all the role allows', size=None)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('last_used_at', models.DateTimeField(blank=True, null=True)),
                ('revoked_at', models.DateTimeField(blank=True, null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='api_tokens', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField()),
                ('actor_name', models.CharField(help_text='kept as text: a process name where no person acted', max_length=150)),
                ('action', models.CharField(db_index=True, max_length=80)),
                ('target', models.CharField(db_index=True, max_length=160)),
                ('reason', models.TextField(blank=True)),
                ('before', models.JSONField(null=True)),
                ('after', models.JSONField(null=True)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name_plural': 'audit entries',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='AuditSeal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
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
                ('decision_note', models.TextField(blank=True)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('applied_at', models.DateTimeField(blank=True, null=True)),
                ('approver', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='change_decisions', to=settings.AUTH_USER_MODEL)),
                ('requester', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='change_requests', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='IdempotencyRecord',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=255)),
                ('fingerprint', models.CharField(help_text='sha256 of method, path and canonical body', max_length=64)),
                ('status', models.PositiveSmallIntegerField(null=True)),
                ('body', models.TextField(help_text='the first answer, byte for byte', null=True)),
                ('headers', models.JSONField(default=dict, help_text='those of the first answer that belong to it')),
                ('attempt', models.PositiveIntegerField(default=1, help_text='grows with every take-over; an older one cannot write')),
                ('claimed_at', models.DateTimeField(help_text='null when the last attempt gave up without an answer', null=True)),
                ('created_at', models.DateTimeField(db_index=True)),
                ('completed_at', models.DateTimeField(null=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
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
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('role__in', ['viewer', 'trader', 'risk_officer', 'model_owner', 'admin'])), name='user_role_known'),
        ),
        migrations.AddConstraint(
            model_name='changerequest',
            constraint=models.CheckConstraint(condition=models.Q(('approver', None), models.Q(('approver', models.F('requester')), _negated=True), _connector='OR'), name='approver_is_not_requester'),
        ),
        migrations.AddConstraint(
            model_name='changerequest',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'applied'), _negated=True), models.Q(('applied_at__isnull', False), ('approver__isnull', False)), _connector='OR'), name='applied_only_when_approved'),
        ),
        migrations.AddConstraint(
            model_name='idempotencyrecord',
            constraint=models.UniqueConstraint(fields=('user', 'key'), name='idempotency_key_once_per_user'),
        ),
        migrations.RunSQL(sql=AUDIT_TRIGGERS, reverse_sql=DROP_AUDIT_TRIGGERS),
    ]
