"""The database itself keeps entries of the audit log from being changed and deleted

Revision ID: 0036
Revises: 0035
"""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

SAYS = "entries of the audit log are never changed or deleted"
#: By what is refused.
TRIGGERS = {"UPDATE": "audit_entry_no_update", "DELETE": "audit_entry_no_delete"}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for act, name in TRIGGERS.items():
            op.execute(
                f"CREATE TRIGGER {name} BEFORE {act} ON audit_entry BEGIN SELECT RAISE(ABORT, '{SAYS}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_entry_only_added() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{SAYS}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    for act, name in TRIGGERS.items():
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {act} ON audit_entry "
            "FOR EACH ROW EXECUTE FUNCTION audit_entry_only_added()"
        )


def downgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for name in TRIGGERS.values():
        op.execute(f"DROP TRIGGER {name}" + ("" if is_sqlite else " ON audit_entry"))
    if not is_sqlite:
        op.execute("DROP FUNCTION audit_entry_only_added()")
