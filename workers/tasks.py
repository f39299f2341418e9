"""The Celery tasks: thin. Each takes ids, calls one function, and may be lost, doubled or late without harm."""

from __future__ import annotations

from datetime import UTC, datetime

from dialer import imports
from dialer.imports import leftovers
from dialer.logs import get_logger
from dialer.settings import get_settings
from dialer.webhooks import outbox
from workers import cdrs, lookups, mirror, process, results
from workers.app import app
from workers.doorbell import Doorbell

log = get_logger(__name__)

#: Seconds that a task works on before it leaves the rest to the next doorbell. Its process may serve other queues, in
#: which calls or results wait behind it: not for long.
RESULTS_STINT = 2.0
IMPORT_STINT = 5.0
MIRROR_STINT = 5.0


@app.task(name="place_calls")
def place_calls(call_ids: list[str], single: bool = False) -> None:
    """Place these calls, as far as they are released and the pace allows; `single`: none is of a campaign."""
    process.dispatcher().place(call_ids, single=single)


@app.task(name="consume_events")
def consume_events() -> None:
    """Consume the events that are stored, as long as they come in large groups."""
    results.keep_consuming(process.engine(), seconds=RESULTS_STINT)
    if outbox.was_written(process.engine()):
        Doorbell(app).deliver_webhooks()


@app.task(name="look_up")
def look_up(attempt_ids: list[str]) -> None:
    """Ask providers about these attempts, as far as nobody has told their end."""
    lookups.look_up_attempts(
        process.engine(), process.limiter(), process.adapters(), process.outside(), attempt_ids
    )


@app.task(name="read_cdrs")
def read_cdrs(provider_id: str) -> None:
    """Read a provider's CDRs, as far as they have not been read; rings again when that is not done in one stint."""
    is_whole = cdrs.read_cdrs(
        process.engine(), process.limiter(), process.adapters(), process.outside(), provider_id
    )
    if not is_whole:
        Doorbell(app).read_cdrs(provider_id)


@app.task(name="mirror_dnd")
def mirror_dnd(provider_id: str) -> None:
    """Keep a provider's black list in step with a DND list; rings again when it is not done after one stint."""
    engine, adapters = process.engine(), process.adapters()
    if not mirror.keep_in_step(engine, adapters, provider_id, seconds=MIRROR_STINT):
        Doorbell(app).mirror_dnd(provider_id)


@app.task(name="deliver_webhooks")
def deliver_webhooks() -> None:
    """Wake what sends messages to accounts' apps; it works on its own thread, and other tasks need not wait."""
    process.deliverer().ring()


@app.task(name="run_import")
def run_import(import_id: str) -> None:
    """Go on with an import; rings again when it is not done after one stint."""
    if not imports.run_import(process.engine(), import_id, lambda: datetime.now(UTC), seconds=IMPORT_STINT):
        Doorbell(app).run_import(import_id)


@app.task(name="tidy_uploads")
def tidy_uploads() -> None:
    """Remove files that imports and uploads left where nobody will come for them."""
    removed = leftovers.remove_old(process.engine(), get_settings(), datetime.now(UTC))
    if removed:
        log.info("uploads tidied up", removed=removed)
