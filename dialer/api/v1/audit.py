"""`/v1/audit`: who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from dialer.api.v1.caller import Admin
from dialer.api.v1.page import CursorText, Limit, Page, RowId, page_of, read_cursor
from dialer.api.v1.tools import With
from dialer.db import reading
from dialer.store import audit

router = APIRouter(prefix="/audit", tags=["audit"])


class AuditEntry(BaseModel):
    """One change."""

    at: datetime
    actor: str = Field(
        description="a key's id, `account` for the account's own key, `operator` for the command line"
    )
    action: str = Field(description="noun and verb, such as `campaign.pause`")
    subject: str = Field(description="the id of what was changed")
    detail: dict[str, Any]


@router.get("")
def list_audit_entries(
    caller: Admin,
    tools: With,
    limit: Limit = 100,
    cursor: CursorText = None,
    subject: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")] = None,
) -> Page[AuditEntry]:
    """The log, the newest first. Entries are never changed or deleted."""
    after = read_cursor(cursor, RowId)
    with reading(tools.engine) as connection:
        rows = audit.of_account(
            connection,
            caller.account_id,
            limit + 1,
            before=None if after is None else int(after[0]),
            subject=subject,
        )
    return page_of(
        rows, limit, lambda row: AuditEntry.model_validate(row._mapping, from_attributes=True), "id"
    )
