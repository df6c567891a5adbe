from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0008_news_is_over")]

    operations = [
        migrations.AddField(
            model_name="playbook",
            name="blind_after",
            field=models.PositiveSmallIntegerField(
                default=6, help_text="readings in a row that fail before nothing new is risked in the scope"
            ),
        ),
        migrations.AddField(
            model_name="playbookwatch",
            name="unmeasured",
            field=models.PositiveIntegerField(default=0, help_text="readings in a row that failed"),
        ),
    ]
