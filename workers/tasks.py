"""The Celery tasks: thin. Each takes ids, calls one function, and may be lost, doubled or late without harm."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from dialer import imports
from dialer.logs import get_logger
from workers import process, results
from workers.app import app
from workers.doorbell import Doorbell

log = get_logger(__name__)

#: After a group of fewer events than this, more are waited for so many seconds: a group costs much the same for one
#: event as for a hundred.
FEW, LINGER = 100, 0.03
#: Seconds that a task works on before it leaves the rest to the next doorbell.
STINT = 20.0
#: … that an import does: results may wait in the same queue behind it, and must not wait long.
IMPORT_STINT = 5.0


@app.task(name="place_calls")
def place_calls(call_ids: list[str]) -> None:
    """Place these calls, as far as they are released and the pace allows."""
    process.dispatcher().place(call_ids)


@app.task(name="consume_events")
def consume_events() -> None:
    """Consume the events that are stored, until there are none."""
    until = time.monotonic() + STINT
    while (consumed := results.consume(process.engine())) and time.monotonic() < until:
        if consumed < FEW:
            time.sleep(LINGER)


@app.task(name="run_import")
def run_import(import_id: str) -> None:
    """Go on with an import; rings again when it is not done after one stint."""
    if not imports.run_import(process.engine(), import_id, lambda: datetime.now(UTC), seconds=IMPORT_STINT):
        Doorbell(app).run_import(import_id)
