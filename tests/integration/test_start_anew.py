"""Each test has a database of its own, whatever the one before has left open."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

from dialer.db import reading, utc_now, writing
from dialer.store import tables as t
from dialer.store import unknown_words


def count(engine: Engine, provider_id: str) -> None:
    with writing(engine) as connection:
        unknown_words.count(connection, {provider_id: 1}, utc_now(connection))


def test_what_the_last_test_still_does_changes_nothing(
    start_anew: Callable[[], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copy

    def meanwhile(source: Path, target: Path) -> None:
        count(engine, "PRlast")  # as the thread of a server does that takes a moment to end
        copy(source, target)

    engine = start_anew()
    monkeypatch.setattr(shutil, "copy", meanwhile)
    start_anew()
    engine.dispose()
    count(engine, "PRthis")
    with reading(engine) as connection:
        assert unknown_words.counts(connection) == {"PRthis": 1}
        assert connection.execute(sa.text("PRAGMA integrity_check")).scalar() == "ok"
        assert connection.execute(sa.select(t.account)).all() == []
