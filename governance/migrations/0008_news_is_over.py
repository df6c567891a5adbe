from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0007_schedules")]

    operations = [
        migrations.AddField(
            model_name="notificationdelivery",
            name="is_over",
            field=models.BooleanField(
                default=False, help_text="other news of the subject came, though not to this channel"
            ),
        ),
    ]
