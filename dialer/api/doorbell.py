"""How the API tells workers of work that is committed. The rows are the truth: a lost ring only costs time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Doorbell(Protocol):
    """Rings for work; `workers.doorbell.Doorbell` is one. No ring raises for a broker that is away."""

    def place_singles(self, ids: Sequence[str]) -> None:
        """Have a worker of the fast lane place these released single calls."""

    def place_others(self, ids: Sequence[str]) -> None:
        """Have a worker of campaigns place these released single calls, which are not urgent."""

    def run_import(self, import_id: str) -> None:
        """Have a worker go on with an import."""

    def deliver_webhooks(self) -> None:
        """Have a worker send what is due to accounts' apps."""


class Silent:
    """Rings nowhere: the scheduler finds what is due."""

    def place_singles(self, ids: Sequence[str]) -> None:
        """Nothing."""

    def place_others(self, ids: Sequence[str]) -> None:
        """Nothing."""

    def run_import(self, import_id: str) -> None:
        """Nothing."""

    def deliver_webhooks(self) -> None:
        """Nothing."""
