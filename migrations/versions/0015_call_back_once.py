"""An account calls nobody back twice at once

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

OPEN = "kind = 'CALLBACK' AND state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED', 'WAITING')"
#: Of several that are open the first stays; of one that is at its provider nobody waits for the end.
END_OTHERS = """
    UPDATE call SET
        state = CASE WHEN state IN ('WAITING', 'RELEASED') THEN 'CANCELLED' ELSE 'UNKNOWN' END,
        ended_at = CURRENT_TIMESTAMP,
        reason = 'called back twice'
    WHERE kind = 'CALLBACK' AND state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED', 'WAITING') AND EXISTS (
        SELECT 1 FROM call AS earlier
        WHERE earlier.account_id = call.account_id AND earlier.e164 = call.e164 AND earlier.id < call.id
        AND earlier.kind = 'CALLBACK' AND earlier.state IN ('DIALLING', 'IN_PROGRESS', 'RELEASED', 'WAITING')
    )
"""


def upgrade() -> None:
    op.execute(END_OTHERS)
    op.create_index(
        "call_callback_key",
        "call",
        ["account_id", "e164"],
        unique=True,
        postgresql_where=sa.text(OPEN),
        sqlite_where=sa.text(OPEN),
    )


def downgrade() -> None:
    op.drop_index("call_callback_key", table_name="call")
