"""What the sandbox was asked to do: the witness against double dialling.

Every request is written down before it is answered, whether taken or not, and a reference that comes twice is
written down twice.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any


class CallLog:
    """Lines in memory and, if asked for, in a file; each line is flushed before the request is answered."""

    def __init__(self, path: Path | None) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1) if path is not None else None
        self.lines: list[str] = []
        self.statuses: Counter[str] = Counter()
        self.accepted_references: Counter[str] = Counter()

    def add(self, provider: str, reference: str, to: str, *, accepted: bool, status: str) -> None:
        """Write one request down."""
        line = json.dumps(
            {
                "t": time.time(),
                "provider": provider,
                "reference": reference,
                "to": to,
                "accepted": accepted,
                "status": status,
            }
        )
        self.lines.append(line)
        self.statuses[status] += 1
        if accepted:
            self.accepted_references[reference] += 1
        if self._file is not None:
            self._file.write(line + "\n")

    def since(self, start: int) -> str:
        """`{"lines": […], "next": n}` as JSON, from line `start` on; ask again with `next`."""
        lines = self.lines[max(0, start) :]
        return f'{{"lines": [{", ".join(lines)}], "next": {len(self.lines)}}}'

    def stats(self) -> dict[str, Any]:
        """How many requests, taken ones, and references that were taken more than once."""
        return {
            "requests": len(self.lines),
            "accepted": self.accepted_references.total(),
            "references": len(self.accepted_references),
            "repeated_references": sum(1 for times in self.accepted_references.values() if times > 1),
            "statuses": dict(self.statuses),
        }

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
