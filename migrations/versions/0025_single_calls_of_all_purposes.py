"""Single calls of all purposes: repeated, with metadata, and not urgent; answers that are given again

Revision ID: 0025
Revises: 0024
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
KINDS = ["ANNOUNCEMENT", "CALLBACK", "CAMPAIGN", "CLICK_TO_CALL", "OTP", "TRANSACTIONAL"]
KINDS_BEFORE = ["CALLBACK", "CAMPAIGN", "CLICK_TO_CALL", "OTP"]
SINGLE = sa.text("campaign_id IS NULL")
WAITING_SINGLE = "state IN ('WAITING') AND campaign_id IS NULL"
URGENT = sa.text(f"{WAITING_SINGLE} AND kind NOT IN ('ANNOUNCEMENT', 'TRANSACTIONAL')")
NOT_URGENT = sa.text(f"{WAITING_SINGLE} AND kind IN ('ANNOUNCEMENT', 'TRANSACTIONAL')")


def byte_sorted(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def upgrade() -> None:
    with op.batch_alter_table("message") as batch:
        batch.drop_constraint("message_call_id_fkey", type_="foreignkey")
    op.add_column("message", sa.Column("provider_id", byte_sorted(16), nullable=True))
    op.add_column("message", sa.Column("time_zone", sa.String(), nullable=True))
    op.add_column("call", sa.Column("repeat_policy", JSON, nullable=True))
    op.add_column("call", sa.Column("metadata", JSON, nullable=True))
    op.add_column("cdr", sa.Column("metadata", JSON, nullable=True))
    _allow("call", KINDS)
    _allow("cdr", [*KINDS, "INBOUND", "INBOUND_CALLBACK"])
    op.drop_index("call_single_due_idx", table_name="call")
    # Where the table of calls is large already, make these before by hand: CREATE INDEX CONCURRENTLY.
    _index("call_urgent_due_idx", ["due_at"], URGENT)
    _index("call_not_urgent_due_idx", ["due_at"], NOT_URGENT)
    _index("call_account_id_e164_idx", ["account_id", "e164", "id"], SINGLE)
    op.create_index("call_account_id_idx", "call", ["account_id", "id"], if_not_exists=True)
    of_attempt = sa.text("attempt_id IS NOT NULL")
    op.create_index(
        "event_attempt_id_idx",
        "event",
        ["attempt_id"],
        postgresql_where=of_attempt,
        sqlite_where=of_attempt,
        if_not_exists=True,
    )
    op.create_table(
        "idempotency_key",
        sa.Column("account_id", byte_sorted(16), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("body_hash", sa.String(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("response", JSON, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key", name=op.f("idempotency_key_pkey")),
    )
    op.create_index("idempotency_key_created_at_idx", "idempotency_key", ["created_at"])


def downgrade() -> None:
    op.drop_table("idempotency_key")
    op.drop_index("event_attempt_id_idx", table_name="event")
    for name in ("account_id", "account_id_e164", "not_urgent_due", "urgent_due"):
        op.drop_index(f"call_{name}_idx", table_name="call")
    op.execute(
        "DELETE FROM message WHERE call_id IN (SELECT id FROM call WHERE kind IN ('ANNOUNCEMENT', 'TRANSACTIONAL'))"
    )
    op.execute("DELETE FROM call WHERE kind IN ('ANNOUNCEMENT', 'TRANSACTIONAL')")
    op.execute("DELETE FROM cdr WHERE kind IN ('ANNOUNCEMENT', 'TRANSACTIONAL')")
    _allow("cdr", [*KINDS_BEFORE, "INBOUND", "INBOUND_CALLBACK"])
    _allow("call", KINDS_BEFORE)
    _index("call_single_due_idx", ["due_at"], sa.text(WAITING_SINGLE))
    op.drop_column("cdr", "metadata")
    for name in ("metadata", "repeat_policy"):
        op.drop_column("call", name)
    for name in ("time_zone", "provider_id"):
        op.drop_column("message", name)
    with op.batch_alter_table("message") as batch:
        batch.create_foreign_key("message_call_id_fkey", "call", ["call_id"], ["id"])


def _index(name: str, columns: list[str], where: sa.TextClause) -> None:
    op.create_index(name, "call", columns, postgresql_where=where, sqlite_where=where, if_not_exists=True)


def _allow(table: str, kinds: list[str]) -> None:
    name = op.f(f"{table}_kind_check")
    condition = f"kind IN ({', '.join(repr(kind) for kind in kinds)})"
    if op.get_bind().dialect.name == "sqlite":
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(name, type_="check")
            batch.create_check_constraint(name, condition)
    else:
        op.drop_constraint(name, table, type_="check")
        op.create_check_constraint(name, table, condition)
