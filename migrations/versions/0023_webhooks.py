"""Outgoing webhooks: endpoints, and deliveries to them

Revision ID: 0023
Revises: 0022
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
PENDING = sa.text("state IN ('PENDING')")
FAILED = sa.text("state IN ('FAILED')")


def _id(length: int = 16) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def _time(name: str, *, nullable: bool) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "webhook_endpoint",
        sa.Column("id", _id(), nullable=False),
        sa.Column("account_id", _id(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("events", JSON, nullable=False),
        sa.Column("campaign_ids", JSON, nullable=True),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("secrets", sa.String(), nullable=False),
        _time("previous_until", nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.String(), nullable=True),
        _time("disabled_at", nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        _time("failing_since", nullable=True),
        _time("rest_until", nullable=True),
        _time("created_at", nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("webhook_endpoint_account_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_endpoint_pkey")),
    )
    op.create_index("webhook_endpoint_account_id_idx", "webhook_endpoint", ["account_id"], unique=False)
    op.create_table(
        "webhook_delivery",
        sa.Column("id", _id(32), nullable=False),
        sa.Column("account_id", _id(), nullable=False),
        sa.Column("endpoint_id", _id(), nullable=False),
        sa.Column("event", _id(), nullable=False),
        sa.Column("subject", _id(32), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("state", _id(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        _time("due_at", nullable=False),
        _time("tried_at", nullable=True),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        _time("created_at", nullable=False),
        _time("ended_at", nullable=True),
        sa.CheckConstraint(
            "state IN ('PENDING', 'DELIVERED', 'FAILED')", name=op.f("webhook_delivery_state_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("webhook_delivery_pkey")),
    )
    op.create_index(
        "webhook_delivery_due_idx",
        "webhook_delivery",
        ["endpoint_id", "due_at"],
        unique=False,
        postgresql_where=PENDING,
        sqlite_where=PENDING,
    )
    op.create_index(
        "webhook_delivery_failed_idx",
        "webhook_delivery",
        ["endpoint_id", "id"],
        unique=False,
        postgresql_where=FAILED,
        sqlite_where=FAILED,
    )
    op.create_index(
        "webhook_delivery_endpoint_id_idx", "webhook_delivery", ["endpoint_id", "id"], unique=False
    )


def downgrade() -> None:
    op.drop_table("webhook_delivery")
    op.drop_table("webhook_endpoint")
