"""Events that hold only the provider's own reference may come before the reply that tells it

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MAY_MATCH = sa.text("state = 'UNMATCHED' AND reference IS NOT NULL")


def upgrade() -> None:
    op.add_column("event", sa.Column("reference", sa.String(), nullable=True))
    op.create_index(
        "event_reference_idx",
        "event",
        ["provider_id", "reference"],
        postgresql_where=_MAY_MATCH,
        sqlite_where=_MAY_MATCH,
    )


def downgrade() -> None:
    op.drop_index("event_reference_idx", "event")
    op.drop_column("event", "reference")
