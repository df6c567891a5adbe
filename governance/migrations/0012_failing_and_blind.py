from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0011_retries_per_delivery'),
    ]

    operations = [
        migrations.AddField(
            model_name='rulecursor',
            name='unknown',
            field=models.JSONField(db_default={}, default=dict, help_text='rules that cannot be judged: name to since when'),
        ),
        migrations.AddField(
            model_name='schedulestate',
            name='failing_since',
            field=models.DateTimeField(help_text='when the first of these ended', null=True),
        ),
        migrations.AddField(
            model_name='schedulestate',
            name='failures_in_row',
            field=models.BigIntegerField(db_default=0, default=0, help_text='since it last ended well'),
        ),
        migrations.AlterField(
            model_name='rulefiring',
            name='outcome',
            field=models.CharField(choices=[('done', 'Done'), ('standing', 'in force already'), ('observed', 'the autopilot is off: nothing was done'), ('failed', 'Failed'), ('unknown', 'it could not be judged')], max_length=8),
        ),
    ]
