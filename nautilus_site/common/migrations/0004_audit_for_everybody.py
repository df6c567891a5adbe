"""The trail's triggers fire in every session, also one that takes itself for a replica; its owner may only add."""

from django.db import migrations

TRIGGERS = {
    "common_auditentry": ("audit_entry_no_change", "audit_entry_no_truncate", "audit_entry_queue"),
    "common_auditseal": ("audit_seal_no_change", "audit_seal_no_truncate"),
}


def statements(trigger: str, privilege: str) -> list[str]:
    return [
        *(
            f"ALTER TABLE {table} ENABLE {trigger} TRIGGER {name}"
            for table, names in TRIGGERS.items()
            for name in names
        ),
        *(f"{privilege.format(table=table)}" for table in TRIGGERS),
    ]


class Migration(migrations.Migration):
    dependencies = [("common", "0003_invitations")]

    operations = [
        migrations.RunSQL(
            sql=statements(
                "ALWAYS", "REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER"
            ),
            reverse_sql=statements("", "GRANT UPDATE, DELETE, TRUNCATE ON {table} TO CURRENT_USER"),
        ),
    ]
