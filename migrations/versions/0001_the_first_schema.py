"""The first schema

Revision ID: 0001
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def byte_sorted(length: int) -> sa.types.TypeEngine[str]:
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def json() -> sa.types.TypeEngine[object]:
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def serial() -> sa.types.TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", byte_sorted(16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("auth_hash", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("default_region", sa.String(), nullable=True),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("calls_per_minute", sa.Integer(), nullable=True),
        sa.Column("max_concurrent", sa.Integer(), nullable=True),
        sa.Column("frequency_cap", sa.Integer(), nullable=True),
        sa.Column("calling_window", json(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("account_pkey")),
        sa.UniqueConstraint("name", name=op.f("account_name_key")),
    )
    op.create_table(
        "call",
        sa.Column("id", byte_sorted(32), nullable=False),
        sa.Column("account_id", byte_sorted(16), nullable=False),
        sa.Column("kind", byte_sorted(16), nullable=False),
        sa.Column("campaign_id", byte_sorted(16), nullable=True),
        sa.Column("list_id", byte_sorted(16), nullable=True),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("e164", byte_sorted(16), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("state", byte_sorted(16), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rung_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider_id", byte_sorted(16), nullable=True),
        sa.Column("dials", sa.Integer(), nullable=False),
        sa.Column("unsent", sa.Integer(), nullable=False),
        sa.Column("repeats", json(), nullable=False),
        sa.Column("disposition", byte_sorted(16), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('CAMPAIGN', 'OTP', 'CLICK_TO_CALL', 'CALLBACK')", name=op.f("call_kind_check")
        ),
        sa.CheckConstraint(
            "state IN ('WAITING', 'RELEASED', 'DIALLING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'SUPPRESSED', 'EXPIRED', 'CANCELLED', 'UNKNOWN')",
            name=op.f("call_state_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("call_pkey")),
    )
    op.create_index(
        "call_campaign_id_e164_key",
        "call",
        ["campaign_id", "e164"],
        unique=True,
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
        sqlite_where=sa.text("campaign_id IS NOT NULL"),
    )
    op.create_index(
        "call_due_idx",
        "call",
        ["campaign_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('WAITING')"),
        sqlite_where=sa.text("state IN ('WAITING')"),
    )
    op.create_index(
        "call_occupying_idx",
        "call",
        ["campaign_id", "state"],
        unique=False,
        postgresql_where=sa.text("state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED')"),
        sqlite_where=sa.text("state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED')"),
    )
    op.create_index(
        "call_open_idx",
        "call",
        ["campaign_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED', 'WAITING')"),
        sqlite_where=sa.text("state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED', 'WAITING')"),
    )
    op.create_index(
        "call_rung_at_idx",
        "call",
        ["rung_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('RELEASED')"),
        sqlite_where=sa.text("state IN ('RELEASED')"),
    )
    op.create_table(
        "event",
        sa.Column("id", serial(), nullable=False),
        sa.Column("provider_id", byte_sorted(16), nullable=False),
        sa.Column("dedupe_key", sa.String(), nullable=False),
        sa.Column("state", byte_sorted(16), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("query", sa.String(), nullable=False),
        sa.Column("content_type", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("attempt_id", byte_sorted(32), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("consumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.CheckConstraint(
            "state IN ('NEW', 'CONSUMED', 'UNMATCHED', 'UNREADABLE')", name=op.f("event_state_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("event_pkey")),
        sa.UniqueConstraint("provider_id", "dedupe_key", name=op.f("event_provider_id_dedupe_key_key")),
    )
    op.create_index(
        "event_new_idx",
        "event",
        ["id"],
        unique=False,
        postgresql_where=sa.text("state = 'NEW'"),
        sqlite_where=sa.text("state = 'NEW'"),
    )
    op.create_table(
        "history",
        sa.Column("id", serial(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("machine", byte_sorted(16), nullable=False),
        sa.Column("entity_id", byte_sorted(32), nullable=False),
        sa.Column("from_state", byte_sorted(16), nullable=False),
        sa.Column("to_state", byte_sorted(16), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("history_pkey")),
    )
    op.create_index("history_entity_id_idx", "history", ["entity_id", "id"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("id", byte_sorted(32), nullable=False),
        sa.Column("call_id", byte_sorted(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account_id", byte_sorted(16), nullable=False),
        sa.Column("campaign_id", byte_sorted(16), nullable=True),
        sa.Column("provider_id", byte_sorted(16), nullable=False),
        sa.Column("e164", byte_sorted(16), nullable=False),
        sa.Column("caller_id", sa.String(), nullable=False),
        sa.Column("state", byte_sorted(16), nullable=False),
        sa.Column("disposition", byte_sorted(16), nullable=True),
        sa.Column("hangup_cause", sa.Integer(), nullable=True),
        sa.Column("provider_reference", sa.String(), nullable=True),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settle_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ringing_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration", sa.Float(), nullable=True),
        sa.Column("billsec", sa.Float(), nullable=True),
        sa.Column("cost", sa.Numeric(precision=12, scale=6), nullable=True),
        sa.Column("detail", sa.String(), nullable=False),
        sa.CheckConstraint(
            "disposition IN ('ANSWERED', 'NO_ANSWER', 'BUSY', 'REJECTED', 'UNAVAILABLE', 'CONGESTION', 'CANCELLED', 'INVALID_NUMBER', 'MACHINE', 'FAILED', 'UNKNOWN')",
            name=op.f("attempt_disposition_check"),
        ),
        sa.CheckConstraint(
            "state IN ('SUBMITTING', 'PLACED', 'RINGING', 'ANSWERED', 'ENDED', 'NOT_PLACED', 'REFUSED', 'UNKNOWN')",
            name=op.f("attempt_state_check"),
        ),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name=op.f("attempt_call_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("attempt_pkey")),
    )
    op.create_index(
        "attempt_account_id_e164_idx", "attempt", ["account_id", "e164", "submitted_at"], unique=False
    )
    op.create_index("attempt_call_id_idx", "attempt", ["call_id"], unique=False)
    op.create_index(
        "attempt_deadline_at_idx",
        "attempt",
        ["deadline_at"],
        unique=False,
        postgresql_where=sa.text("state = 'SUBMITTING'"),
        sqlite_where=sa.text("state = 'SUBMITTING'"),
    )
    op.create_index(
        "attempt_provider_reference_idx",
        "attempt",
        ["provider_id", "provider_reference"],
        unique=False,
        postgresql_where=sa.text("provider_reference IS NOT NULL"),
        sqlite_where=sa.text("provider_reference IS NOT NULL"),
    )
    op.create_index(
        "attempt_settle_at_idx",
        "attempt",
        ["settle_at"],
        unique=False,
        postgresql_where=sa.text("settle_at IS NOT NULL"),
        sqlite_where=sa.text("settle_at IS NOT NULL"),
    )
    op.create_table(
        "cdr",
        sa.Column("id", serial(), nullable=False),
        sa.Column("account_id", byte_sorted(16), nullable=False),
        sa.Column("campaign_id", byte_sorted(16), nullable=True),
        sa.Column("list_id", byte_sorted(16), nullable=True),
        sa.Column("call_id", byte_sorted(32), nullable=False),
        sa.Column("attempt_id", byte_sorted(32), nullable=True),
        sa.Column("kind", byte_sorted(16), nullable=False),
        sa.Column("campaign_type", sa.Integer(), nullable=True),
        sa.Column("provider_id", byte_sorted(16), nullable=True),
        sa.Column("provider_reference", sa.String(), nullable=True),
        sa.Column("e164", byte_sorted(16), nullable=False),
        sa.Column("caller_id", sa.String(), nullable=False),
        sa.Column("disposition", byte_sorted(16), nullable=True),
        sa.Column("dial_status", byte_sorted(16), nullable=False),
        sa.Column("hangup_cause", sa.Integer(), nullable=True),
        sa.Column("dialled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("call_date", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration", sa.Float(), nullable=True),
        sa.Column("billsec", sa.Float(), nullable=True),
        sa.Column("cost", sa.Numeric(precision=12, scale=6), nullable=True),
        sa.Column("dtmf_inputs", sa.String(), nullable=False),
        sa.CheckConstraint(
            "dial_status IN ('ANSWER', 'BUSY', 'NOANSWER', 'CANCEL', 'CONGESTION', 'CHANUNAVAIL', 'DND')",
            name=op.f("cdr_dial_status_check"),
        ),
        sa.CheckConstraint(
            "disposition IN ('ANSWERED', 'NO_ANSWER', 'BUSY', 'REJECTED', 'UNAVAILABLE', 'CONGESTION', 'CANCELLED', 'INVALID_NUMBER', 'MACHINE', 'FAILED', 'UNKNOWN')",
            name=op.f("cdr_disposition_check"),
        ),
        sa.CheckConstraint(
            "kind IN ('CAMPAIGN', 'OTP', 'CLICK_TO_CALL', 'CALLBACK')", name=op.f("cdr_kind_check")
        ),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name=op.f("cdr_call_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("cdr_pkey")),
        sa.UniqueConstraint("attempt_id", name=op.f("cdr_attempt_id_key")),
    )
    op.create_index("cdr_account_id_call_date_idx", "cdr", ["account_id", "call_date", "id"], unique=False)
    op.create_index("cdr_call_id_idx", "cdr", ["call_id"], unique=False)
    op.create_index("cdr_campaign_id_idx", "cdr", ["campaign_id", "id"], unique=False)
    op.create_table(
        "contact_list",
        sa.Column("id", byte_sorted(16), nullable=False),
        sa.Column("account_id", byte_sorted(16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("last_position", sa.Integer(), nullable=False),
        sa.Column("contact_count", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("contact_list_account_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("contact_list_pkey")),
        sa.UniqueConstraint("account_id", "name", name=op.f("contact_list_account_id_name_key")),
    )
    op.create_table(
        "dnd_list",
        sa.Column("id", byte_sorted(16), nullable=False),
        sa.Column("account_id", byte_sorted(16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_global", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("dnd_list_account_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("dnd_list_pkey")),
        sa.UniqueConstraint("account_id", "name", name=op.f("dnd_list_account_id_name_key")),
    )
    op.create_index(
        "dnd_list_global_idx",
        "dnd_list",
        ["account_id"],
        unique=True,
        postgresql_where=sa.text("is_global"),
        sqlite_where=sa.text("is_global"),
    )
    op.create_table(
        "import",
        sa.Column("id", byte_sorted(16), nullable=False),
        sa.Column("account_id", byte_sorted(16), nullable=False),
        sa.Column("kind", byte_sorted(16), nullable=False),
        sa.Column("target_id", byte_sorted(16), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("region", sa.String(), nullable=True),
        sa.Column("state", byte_sorted(16), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("offset", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("dialect", json(), nullable=True),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("duplicate", sa.Integer(), nullable=False),
        sa.Column("invalid", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('CONTACTS', 'DND')", name=op.f("import_kind_check")),
        sa.CheckConstraint("state IN ('RUNNING', 'DONE', 'FAILED')", name=op.f("import_state_check")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("import_account_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("import_pkey")),
    )
    op.create_index(
        "import_running_idx",
        "import",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'RUNNING'"),
        sqlite_where=sa.text("state = 'RUNNING'"),
    )
    op.create_index(
        "import_target_id_idx",
        "import",
        ["target_id"],
        unique=False,
        postgresql_where=sa.text("state = 'RUNNING'"),
        sqlite_where=sa.text("state = 'RUNNING'"),
    )
    op.create_table(
        "provider",
        sa.Column("id", byte_sorted(16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("account_id", byte_sorted(16), nullable=True),
        sa.Column("base_url", sa.String(), nullable=False),
        sa.Column("credentials", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("paused_reason", sa.String(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("calls_per_minute", sa.Integer(), nullable=True),
        sa.Column("max_concurrent", sa.Integer(), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("webhook_token", sa.String(), nullable=False),
        sa.Column("previous_webhook_token", sa.String(), nullable=True),
        sa.Column("previous_token_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("callback_auth_hash", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("provider_account_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("provider_pkey")),
        sa.UniqueConstraint("name", name=op.f("provider_name_key")),
    )
    op.create_table(
        "campaign",
        sa.Column("id", byte_sorted(16), nullable=False),
        sa.Column("account_id", byte_sorted(16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("state", byte_sorted(16), nullable=False),
        sa.Column("list_id", byte_sorted(16), nullable=False),
        sa.Column("caller_id", sa.String(), nullable=False),
        sa.Column("announcement_text", sa.String(), nullable=True),
        sa.Column("recorded_filename", sa.String(), nullable=True),
        sa.Column("repeat_count", sa.Integer(), nullable=False),
        sa.Column("voice", sa.String(), nullable=False),
        sa.Column("volume", sa.String(), nullable=False),
        sa.Column("rate", sa.String(), nullable=False),
        sa.Column("pitch", sa.String(), nullable=False),
        sa.Column("language_code", sa.String(), nullable=False),
        sa.Column("tts_engine_type", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("start_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("end_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("calls_per_minute", sa.Integer(), nullable=True),
        sa.Column("max_concurrent", sa.Integer(), nullable=True),
        sa.Column("calling_window", json(), nullable=True),
        sa.Column("repeat_policy", json(), nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("retry_time", sa.Integer(), nullable=False),
        sa.Column("provider_id", byte_sorted(16), nullable=True),
        sa.Column("cursor", sa.Integer(), nullable=False),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('DRAFT', 'SCHEDULED', 'RUNNING', 'PAUSED', 'FINISHED', 'STOPPED')",
            name=op.f("campaign_state_check"),
        ),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("campaign_account_id_fkey")),
        sa.ForeignKeyConstraint(["list_id"], ["contact_list.id"], name=op.f("campaign_list_id_fkey")),
        sa.ForeignKeyConstraint(["provider_id"], ["provider.id"], name=op.f("campaign_provider_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("campaign_pkey")),
        sa.UniqueConstraint("account_id", "name", name=op.f("campaign_account_id_name_key")),
    )
    op.create_index("campaign_list_id_idx", "campaign", ["list_id"], unique=False)
    op.create_index(
        "campaign_wake_at_idx",
        "campaign",
        ["wake_at"],
        unique=False,
        postgresql_where=sa.text("wake_at IS NOT NULL"),
        sqlite_where=sa.text("wake_at IS NOT NULL"),
    )
    op.create_table(
        "contact",
        sa.Column("list_id", byte_sorted(16), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("e164", byte_sorted(16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fields", json(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["list_id"], ["contact_list.id"], name=op.f("contact_list_id_fkey")),
        sa.PrimaryKeyConstraint("list_id", "position", name=op.f("contact_pkey")),
        sa.UniqueConstraint("list_id", "e164", name=op.f("contact_list_id_e164_key")),
    )
    op.create_table(
        "dnd_number",
        sa.Column("dnd_list_id", byte_sorted(16), nullable=False),
        sa.Column("e164", byte_sorted(16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["dnd_list_id"], ["dnd_list.id"], name=op.f("dnd_number_dnd_list_id_fkey")),
        sa.PrimaryKeyConstraint("dnd_list_id", "e164", name=op.f("dnd_number_pkey")),
    )
    op.create_table(
        "list_field",
        sa.Column("list_id", byte_sorted(16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("contacts", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["contact_list.id"], name=op.f("list_field_list_id_fkey")),
        sa.PrimaryKeyConstraint("list_id", "name", name=op.f("list_field_pkey")),
    )
    op.create_table(
        "rejected_row",
        sa.Column("id", serial(), nullable=False),
        sa.Column("import_id", byte_sorted(16), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("column", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["import_id"], ["import.id"], name=op.f("rejected_row_import_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("rejected_row_pkey")),
    )
    op.create_index("rejected_row_import_id_idx", "rejected_row", ["import_id", "line"], unique=False)
    op.create_table(
        "campaign_count",
        sa.Column("campaign_id", byte_sorted(16), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("campaign_count_campaign_id_fkey")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "name", name=op.f("campaign_count_pkey")),
    )
    op.create_table(
        "campaign_dnd_list",
        sa.Column("campaign_id", byte_sorted(16), nullable=False),
        sa.Column("dnd_list_id", byte_sorted(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaign.id"], name=op.f("campaign_dnd_list_campaign_id_fkey")
        ),
        sa.ForeignKeyConstraint(
            ["dnd_list_id"], ["dnd_list.id"], name=op.f("campaign_dnd_list_dnd_list_id_fkey")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "dnd_list_id", name=op.f("campaign_dnd_list_pkey")),
    )


def downgrade() -> None:
    op.drop_table("campaign_dnd_list")
    op.drop_table("campaign_count")
    op.drop_index("rejected_row_import_id_idx", table_name="rejected_row")
    op.drop_table("rejected_row")
    op.drop_table("list_field")
    op.drop_table("dnd_number")
    op.drop_table("contact")
    op.drop_index(
        "campaign_wake_at_idx",
        table_name="campaign",
        postgresql_where=sa.text("wake_at IS NOT NULL"),
        sqlite_where=sa.text("wake_at IS NOT NULL"),
    )
    op.drop_index("campaign_list_id_idx", table_name="campaign")
    op.drop_table("campaign")
    op.drop_table("provider")
    op.drop_index(
        "import_target_id_idx",
        table_name="import",
        postgresql_where=sa.text("state = 'RUNNING'"),
        sqlite_where=sa.text("state = 'RUNNING'"),
    )
    op.drop_index(
        "import_running_idx",
        table_name="import",
        postgresql_where=sa.text("state = 'RUNNING'"),
        sqlite_where=sa.text("state = 'RUNNING'"),
    )
    op.drop_table("import")
    op.drop_index(
        "dnd_list_global_idx",
        table_name="dnd_list",
        postgresql_where=sa.text("is_global"),
        sqlite_where=sa.text("is_global"),
    )
    op.drop_table("dnd_list")
    op.drop_table("contact_list")
    op.drop_index("cdr_campaign_id_idx", table_name="cdr")
    op.drop_index("cdr_call_id_idx", table_name="cdr")
    op.drop_index("cdr_account_id_call_date_idx", table_name="cdr")
    op.drop_table("cdr")
    op.drop_index(
        "attempt_settle_at_idx",
        table_name="attempt",
        postgresql_where=sa.text("settle_at IS NOT NULL"),
        sqlite_where=sa.text("settle_at IS NOT NULL"),
    )
    op.drop_index(
        "attempt_provider_reference_idx",
        table_name="attempt",
        postgresql_where=sa.text("provider_reference IS NOT NULL"),
        sqlite_where=sa.text("provider_reference IS NOT NULL"),
    )
    op.drop_index(
        "attempt_deadline_at_idx",
        table_name="attempt",
        postgresql_where=sa.text("state = 'SUBMITTING'"),
        sqlite_where=sa.text("state = 'SUBMITTING'"),
    )
    op.drop_index("attempt_call_id_idx", table_name="attempt")
    op.drop_index("attempt_account_id_e164_idx", table_name="attempt")
    op.drop_table("attempt")
    op.drop_index("history_entity_id_idx", table_name="history")
    op.drop_table("history")
    op.drop_index(
        "event_new_idx",
        table_name="event",
        postgresql_where=sa.text("state = 'NEW'"),
        sqlite_where=sa.text("state = 'NEW'"),
    )
    op.drop_table("event")
    op.drop_index(
        "call_rung_at_idx",
        table_name="call",
        postgresql_where=sa.text("state IN ('RELEASED')"),
        sqlite_where=sa.text("state IN ('RELEASED')"),
    )
    op.drop_index(
        "call_open_idx",
        table_name="call",
        postgresql_where=sa.text("state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED', 'WAITING')"),
        sqlite_where=sa.text("state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED', 'WAITING')"),
    )
    op.drop_index(
        "call_occupying_idx",
        table_name="call",
        postgresql_where=sa.text("state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED')"),
        sqlite_where=sa.text("state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED')"),
    )
    op.drop_index(
        "call_due_idx",
        table_name="call",
        postgresql_where=sa.text("state IN ('WAITING')"),
        sqlite_where=sa.text("state IN ('WAITING')"),
    )
    op.drop_index(
        "call_campaign_id_e164_key",
        table_name="call",
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
        sqlite_where=sa.text("campaign_id IS NOT NULL"),
    )
    op.drop_table("call")
    op.drop_table("account")
