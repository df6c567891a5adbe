"""Artefacts and changes of stage are facts: the database itself refuses to change or delete them."""

from django.db import migrations

TABLES = ("mlregistry_modelartefact", "mlregistry_stagechange")

FUNCTION = """
CREATE FUNCTION mlregistry_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("mlregistry", "0001_registry")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION mlregistry_refuse_change() CASCADE"),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION mlregistry_refuse_change()",
                f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}",
            )
            for table in TABLES
        ),
    ]
