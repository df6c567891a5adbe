"""Versions of policies and their activations never change or go; runs and routing decisions never change."""

from django.db import migrations

KEPT = ("governance_policyversion", "governance_policyactivation")
UNCHANGED = ("governance_allocationrun", "governance_allocation", "governance_routingdecision")

FUNCTION = """
CREATE FUNCTION governance_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""


def trigger(table: str, events: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"CREATE TRIGGER {table}_append_only BEFORE {events} ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION governance_refuse_change()",
        f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}",
    )


class Migration(migrations.Migration):
    dependencies = [("governance", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION governance_refuse_change() CASCADE"),
        *(trigger(table, "UPDATE OR DELETE") for table in KEPT),
        *(trigger(table, "UPDATE") for table in UNCHANGED),
    ]
