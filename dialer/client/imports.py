"""`client.imports`: files on their way into lists and DND lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Unpack

from dialer.client.answers import Import, RejectedRow
from dialer.client.bodies import Columns, NewImport
from dialer.client.group import PAGE_SIZE, Group
from dialer.client.parts import ImportKind


class Imports(Group):
    """Imports of CSV and XLSX files. They are read in the background: `get` tells how far one is."""

    def create(self, **wanted: Unpack[NewImport]) -> Import:
        """Import a file of the uploads."""
        return self._post(Import, "imports", body=wanted)

    def send(
        self,
        path: Path | str,
        /,
        *,
        kind: ImportKind,
        target_id: str,
        columns: Columns | None = None,
        sheet: str | None = None,
        dry_run: bool = False,
    ) -> Import:
        """Send a file and import it."""
        fields = {
            "kind": kind,
            "target_id": target_id,
            "columns": columns,
            "sheet": sheet,
            "dry_run": dry_run,
        }
        with Path(path).open("rb") as file:
            sent: Import = self._wire.send_file("imports", file=file, name=Path(path).name, fields=fields)
            return sent

    def list(self, *, page_size: int = PAGE_SIZE) -> Iterator[Import]:
        """All imports, the newest first."""
        return self._pages(Import, "imports", page_size=page_size)

    def get(self, import_id: str, /) -> Import:
        """An import, and how far it is."""
        return self._get(Import, "imports", import_id)

    def cancel(self, import_id: str, /) -> Import:
        """End an import: what was written stays."""
        return self._post(Import, "imports", import_id, "cancel")

    def errors(self, import_id: str, /, *, page_size: int = PAGE_SIZE) -> Iterator[RejectedRow]:
        """The rows that were not taken, in the file's order."""
        return self._pages(RejectedRow, "imports", import_id, "errors", page_size=page_size)

    def errors_csv(self, import_id: str, /, *, raw: bool = False) -> Iterator[bytes]:
        """The same as a CSV file, in pieces; `raw`: without an apostrophe before what looks like a formula."""
        return self._wire.stream("imports", import_id, "errors.csv", params={"raw": raw})
