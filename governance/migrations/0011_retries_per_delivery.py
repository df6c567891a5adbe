from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0010_game_days_and_after_actions")]

    operations = [
        migrations.AddField(
            model_name="notificationdelivery",
            name="retry_at",
            field=models.DateTimeField(null=True, help_text="after a failure: not before"),
        ),
        migrations.AlterField(
            model_name="notificationchannel",
            name="failures",
            field=models.PositiveIntegerField(default=0, help_text="attempts in a row that told nothing"),
        ),
    ]
