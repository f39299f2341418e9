"""`client.audit`: who changed what."""

from __future__ import annotations

from collections.abc import Iterator

from dialer.client.answers import AuditEntry
from dialer.client.group import PAGE_SIZE, Group


class Audit(Group):
    """The log of all changes."""

    def list(self, *, subject: str | None = None, page_size: int = PAGE_SIZE) -> Iterator[AuditEntry]:
        """All entries, the newest first; `subject`: only those of the thing with this id."""
        return self._pages(AuditEntry, "audit", page_size=page_size, params={"subject": subject})
