"""Black lists at providers that are kept in step with DND lists

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def _id() -> sa.types.TypeEngine[str]:
    return sa.String(16).with_variant(sa.String(16, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("dnd_list", sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE dnd_list SET changed_at = created_at")
    op.create_table(
        "dnd_mirror",
        sa.Column("provider_id", _id(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("compare_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("passing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("position", _id(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["provider.id"], name=op.f("dnd_mirror_provider_id_fkey"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("dnd_mirror_pkey")),
    )
    op.create_table(
        "dnd_mirror_rule",
        sa.Column("provider_id", _id(), nullable=False),
        sa.Column("e164", _id(), nullable=False),
        sa.Column("state", _id(), nullable=False),
        sa.CheckConstraint(
            "state IN ('ADDING', 'OURS', 'DELETING', 'REFUSED', 'THEIRS')",
            name=op.f("dnd_mirror_rule_state_check"),
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["provider.id"],
            name=op.f("dnd_mirror_rule_provider_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("provider_id", "e164", name=op.f("dnd_mirror_rule_pkey")),
    )


def downgrade() -> None:
    op.drop_table("dnd_mirror_rule")
    op.drop_table("dnd_mirror")
    op.drop_column("dnd_list", "changed_at")
