"""The rehearsal of the web process' live answers: iotcomms waits 0.3 s for one, and to load its adapter alone may take
longer. A module of its own, because no worker answers live."""

from __future__ import annotations

import sqlalchemy as sa

from dialer.api.live import Asker, look_up
from dialer.lifecycle import CallState
from dialer.models.inbound import InboundAction
from dialer.providers.contract import ProviderError
from dialer.providers.kinds import adapter_class
from dialer.providers.live import Asks, Question, Response
from dialer.store import inbound, tables
from dialer.store.tables import AnyRow
from workers.rehearsal import CALLEES, CALLER, Stage, add_attempts, add_calls

#: A number that nobody has; it comes in.
OURS = f"+{CALLER}"


def answer_live(stage: Stage) -> list[Response]:
    """Answer what each kind that asks, and that is in use here, may ask; the answers."""
    askers = _askers(stage)
    if not askers:
        return []
    inbound.add_rule(
        stage.connection,
        {
            "e164": OURS,
            "account_id": stage.account_id,
            "action": InboundAction.CONNECT.value,
            "numbers": CALLEES[:1],
            "text": "One moment, please.",
            "media": None,
            "ring_seconds": 30,
            "language_code": "en-US",
            "voice": "Joanna",
            "record": False,
            "created_at": stage.now,
        },
    )
    (attempt_id,) = add_attempts(stage, add_calls(stage, CallState.IN_PROGRESS, 1, dials=1))
    questions = (
        Question(Asks.INBOUND, "rehearsal", caller=CALLEES[1], called=OURS),
        Question(Asks.COMMAND, "rehearsal", attempt_id),
    )
    return [
        asker.kind.write_answer(
            question, look_up(stage.connection, asker, question).step.answer, asker.settings
        )
        for asker in askers
        for question in questions
    ]


def _askers(stage: Stage) -> list[Asker]:
    """The providers of this stage, one of each kind that asks: with the settings of one that is there."""
    found: dict[str, AnyRow] = {}
    enabled = sa.select(tables.provider.c.kind, tables.provider.c.open_settings).where(
        tables.provider.c.enabled
    )
    for row in stage.connection.execute(enabled):
        found.setdefault(row.kind, row)
    askers = []
    for name, row in sorted(found.items()):
        try:
            kind = adapter_class(name)
        except ProviderError:  # a kind of another version
            continue
        if kind.asks:
            askers.append(
                Asker(stage.provider_id, stage.provider_id, kind, row.open_settings or {}, "http://rehearsal")
            )
    return askers
