"""How far the CDRs of providers have been read

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cdr_poll",
        sa.Column(
            "provider_id",
            sa.String(16).with_variant(sa.String(16, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("read_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reading_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("page", sa.String(), nullable=True),
        sa.Column("disagreements", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("cdr_poll_provider_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("cdr_poll_pkey")),
    )


def downgrade() -> None:
    op.drop_table("cdr_poll")
