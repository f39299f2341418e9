"""Imports that are rehearsed, cancelled and read from anywhere; lists that are deleted; templates that are approved

Revision ID: 0022
Revises: 0021
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

SCRATCH = sa.text("has_scratch")
HOLDS_CONTACTS = sa.text("deleted_at IS NOT NULL AND last_position > 0")
DELETED = sa.text("deleted_at IS NOT NULL")
STATES = "state IN ('RUNNING', 'DONE', 'FAILED', 'CANCELLED')"
STATES_BEFORE = "state IN ('RUNNING', 'DONE', 'FAILED')"
KINDS = "kind IN ('CONTACTS', 'DND')"
TEMPLATE_STATES = "state IN ('PENDING', 'APPROVED', 'REJECTED')"


def _id() -> sa.types.TypeEngine[str]:
    return sa.String(16).with_variant(sa.String(16, collation="C"), "postgresql")


def upgrade() -> None:
    _allow(STATES)
    op.add_column("import", sa.Column("version", sa.String(), server_default="", nullable=False))
    op.add_column("import", sa.Column("dry_run", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("import", sa.Column("has_scratch", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "import_scratch_idx", "import", ["lease_until"], postgresql_where=SCRATCH, sqlite_where=SCRATCH
    )
    op.create_index("import_account_id_idx", "import", ["account_id", "created_at", "id"])
    op.create_table(
        "checked_number",
        sa.Column("import_id", _id(), nullable=False),
        sa.Column("e164", _id(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["import.id"], name=op.f("checked_number_import_id_fkey")),
        sa.PrimaryKeyConstraint("import_id", "e164", name=op.f("checked_number_pkey")),
    )
    op.add_column("contact_list", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "contact_list_deleted_idx",
        "contact_list",
        ["id"],
        postgresql_where=HOLDS_CONTACTS,
        sqlite_where=HOLDS_CONTACTS,
    )
    op.add_column("dnd_list", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "dnd_list_deleted_idx", "dnd_list", ["id"], postgresql_where=DELETED, sqlite_where=DELETED
    )
    op.add_column(
        "account", sa.Column("approves_templates", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    # Those that there are the operator has added, and so approved.
    with op.batch_alter_table("announce_template") as batch:
        batch.add_column(sa.Column("state", _id(), server_default="APPROVED", nullable=False))
        batch.add_column(sa.Column("reason", sa.String(), server_default="", nullable=False))
        batch.add_column(sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True))
        batch.create_check_constraint(op.f("announce_template_state_check"), TEMPLATE_STATES)


def downgrade() -> None:
    # What the release before does not know must not seem approved or alive to it.
    op.execute("DELETE FROM announce_template WHERE state <> 'APPROVED'")
    op.execute("UPDATE import SET state = 'FAILED', error = 'cancelled' WHERE state = 'CANCELLED'")
    with op.batch_alter_table("announce_template") as batch:
        batch.drop_constraint(op.f("announce_template_state_check"), type_="check")
        for name in ("reviewed_at", "reason", "state"):
            batch.drop_column(name)
    op.drop_column("account", "approves_templates")
    op.drop_index("dnd_list_deleted_idx", table_name="dnd_list")
    op.drop_column("dnd_list", "deleted_at")
    op.drop_index("contact_list_deleted_idx", table_name="contact_list")
    op.drop_column("contact_list", "deleted_at")
    op.drop_table("checked_number")
    op.drop_index("import_account_id_idx", table_name="import")
    op.drop_index("import_scratch_idx", table_name="import")
    for name in ("has_scratch", "dry_run", "version"):
        op.drop_column("import", name)
    _allow(STATES_BEFORE)


def _allow(states: str) -> None:
    if op.get_bind().dialect.name != "sqlite":
        op.drop_constraint(op.f("import_state_check"), "import", type_="check")
        op.create_check_constraint(op.f("import_state_check"), "import", states)
        return
    # SQLite makes the table anew, which it does not while another refers to its rows.
    with op.batch_alter_table("rejected_row") as batch:
        batch.drop_constraint("rejected_row_import_id_fkey", type_="foreignkey")
    with op.batch_alter_table("import") as batch:
        batch.drop_constraint(op.f("import_state_check"), type_="check")
        batch.create_check_constraint(op.f("import_state_check"), states)
    with op.batch_alter_table("rejected_row") as batch:
        batch.create_foreign_key("rejected_row_import_id_fkey", "import", ["import_id"], ["id"])
