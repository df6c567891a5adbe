"""What rules did is never changed."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("governance", "0005_rules")]

    operations = [
        migrations.RunSQL(
            "CREATE TRIGGER governance_rulefiring_append_only BEFORE UPDATE ON governance_rulefiring "
            "FOR EACH ROW EXECUTE FUNCTION governance_refuse_change()",
            "DROP TRIGGER IF EXISTS governance_rulefiring_append_only ON governance_rulefiring",
        )
    ]
