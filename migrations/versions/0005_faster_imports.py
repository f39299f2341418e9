"""Faster imports: contacts of a list are not looked up in it one by one; how many stand on the global DND list

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import", sa.Column("suppressed", sa.Integer(), server_default="0", nullable=False))
    with op.batch_alter_table("contact") as batch:
        batch.drop_constraint("contact_list_id_fkey", type_="foreignkey")


def downgrade() -> None:
    with op.batch_alter_table("contact") as batch:
        batch.create_foreign_key("contact_list_id_fkey", "contact_list", ["list_id"], ["id"])
    op.drop_column("import", "suppressed")
