"""`client.media`: recorded files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dialer.client.answers import Media as Recorded
from dialer.client.group import PAGE_SIZE, Group


class Media(Group):
    """Recorded files, in the account's own folder of the uploads."""

    def list(self, *, page_size: int = PAGE_SIZE) -> Iterator[Recorded]:
        """All recorded files, by name."""
        return self._pages(Recorded, "media", page_size=page_size)

    def add(self, path: Path | str, /) -> Recorded:
        """Keep a recorded file, WAV, MP3 or Ogg, under its name."""
        with Path(path).open("rb") as file:
            added: Recorded = self._wire.send_file("media", file=file, name=Path(path).name)
            return added

    def remove(self, name: str, /) -> None:
        """Remove a recorded file."""
        self._delete("media", name)
