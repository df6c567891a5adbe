"""Fills, ledger entries and order events are facts: the database itself refuses to change or delete them."""

from django.db import migrations

TABLES = ("trading_fill", "trading_ledgerentry", "trading_orderevent")

FUNCTION = """
CREATE FUNCTION trading_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("trading", "0001_initial")]

    operations = [
        migrations.RunSQL(FUNCTION, "DROP FUNCTION trading_refuse_change() CASCADE"),
        *(
            migrations.RunSQL(
                f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION trading_refuse_change()",
                f"DROP TRIGGER IF EXISTS {table}_append_only ON {table}",
            )
            for table in TABLES
        ),
    ]
