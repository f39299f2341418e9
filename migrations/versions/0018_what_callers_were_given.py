"""What a caller was given when the provider asked, kept with the question, and which call calls them back

Revision ID: 0018
Revises: 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
CALLED_BACK = sa.text("callback_id IS NOT NULL")


def upgrade() -> None:
    op.add_column("event", sa.Column("given", JSON, nullable=True))
    op.add_column("inbound_call", sa.Column("given", JSON, nullable=True))
    call_id = sa.String(32).with_variant(sa.String(32, collation="C"), "postgresql")
    op.add_column("inbound_call", sa.Column("callback_id", call_id, nullable=True))
    op.create_index(
        "inbound_call_callback_id_idx",
        "inbound_call",
        ["callback_id"],
        postgresql_where=CALLED_BACK,
        sqlite_where=CALLED_BACK,
    )


def downgrade() -> None:
    op.drop_index("inbound_call_callback_id_idx", table_name="inbound_call")
    op.drop_column("inbound_call", "callback_id")
    op.drop_column("inbound_call", "given")
    op.drop_column("event", "given")
