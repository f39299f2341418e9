"""An account's campaigns in pages, and what was done to one thing

Revision ID: 0017
Revises: 0016
"""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "campaign_account_id_created_at_idx", "campaign", ["account_id", "created_at", "id"], unique=False
    )
    op.create_index("audit_entry_subject_idx", "audit_entry", ["subject", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("audit_entry_subject_idx", table_name="audit_entry")
    op.drop_index("campaign_account_id_created_at_idx", table_name="campaign")
