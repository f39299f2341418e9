"""Questions that providers wait with: what a callback asks is answered within `DEADLINE`, in the provider's words.

What is known of the call is read in one statement, by a thread of this module's own, so that a database that hangs
holds up nothing else; what to answer is decided by `dialer/calls/answers.py`. Whoever is to be rung by an answer is
looked up on the DND lists before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dialer.calls import answers, content, inbound, opt_out
from dialer.calls.flow_form import FlowError
from dialer.calls.flow_steps import HANG_UP, Step
from dialer.campaigns.template import TemplateError
from dialer.db import looking, writing
from dialer.logs import get_logger
from dialer.providers.base import Adapter
from dialer.providers.contract import EventError, RawEvent, Submission
from dialer.providers.live import Answer, Asks, Question, Response
from dialer.store import answers as store
from dialer.store import campaigns, dnd
from dialer.store import inbound as rules

log = get_logger(__name__)

#: Seconds from the first byte of a question to its answer, at most. iotcomms waits 0.3.
DEADLINE = 0.25
#: Questions whose calls are looked up at once.
THREADS = 8


@dataclass(frozen=True, slots=True)
class Asker:
    """A provider that asks. `settings` are those that are no secrets; `callback_url` is its webhook's address."""

    id: str
    name: str
    kind: type[Adapter]
    settings: Mapping[str, str] = field(repr=False)
    callback_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Found:
    """What to answer, and who leaves by it (account, E.164)."""

    step: Step
    caller: tuple[str, str] | None = field(default=None, repr=False)


class Live:
    """Answers questions. One per process, on its event loop."""

    def __init__(self, engine: Engine, deadline: float = DEADLINE) -> None:
        """`deadline`: seconds for an answer."""
        self._engine = engine
        self._deadline = deadline
        self._threads = ThreadPoolExecutor(THREADS, "live answer")
        self._leaving: set[asyncio.Future[None]] = set()

    def close(self) -> None:
        """Wait for what is being looked up, which may take seconds. Nothing is answered after this."""
        self._threads.shutdown(cancel_futures=True)

    def question(self, asker: Asker, raw: RawEvent) -> Question | None:
        """What a callback asks; None when it asks nothing that can be understood: its event is kept all the same."""
        try:
            return asker.kind.read_question(raw)
        except EventError as error:
            log.warning("question not understood", provider=asker.name, error=str(error))
        except Exception as error:  # noqa: BLE001 - a bug of one adapter; the event is kept
            log.error("question cannot be read", provider=asker.name, error=type(error).__name__)
        return None

    async def answer(self, asker: Asker, question: Question, began: float) -> Response | None:
        """The answer to a question that `began` at that time of the loop; None when it cannot be written. Never
        raises."""
        step = await self._step(asker, question, began)
        try:
            return asker.kind.write_answer(
                question, replace(step.answer, callback_url=asker.callback_url), asker.settings
            )
        except Exception as error:  # noqa: BLE001 - a bug of one adapter: the event is kept, and nobody else suffers
            log.error("answer cannot be written", provider=asker.name, error=type(error).__name__)
            return None

    async def _step(self, asker: Asker, question: Question, began: float) -> Step:
        if question.settled is not None:
            return Step(question.settled)
        loop = asyncio.get_running_loop()
        looked_up = loop.run_in_executor(self._threads, self._look_up, asker, question)
        left = began + self._deadline - loop.time()
        done, _ = await asyncio.wait([looked_up], timeout=max(0.0, left))
        if not done:
            log.warning("answer not known in time", provider=asker.name, asks=question.asks.value)
            looked_up.add_done_callback(_ignore)
            return Step(answers.in_time(question))
        try:
            found = looked_up.result()
        except Exception as error:  # noqa: BLE001 - whatever it was, somebody is on the line
            log.error("answer not known", provider=asker.name, error=type(error).__name__)
            return Step(answers.in_time(question))
        if found.step.effects.opt_out and found.caller is not None:
            self._leave(found.caller)
        return found.step

    def _look_up(self, asker: Asker, question: Question) -> _Found:
        if question.asks is Asks.INBOUND:
            with looking(self._engine) as connection:
                rule = rules.rule_of(connection, asker.id, question.called)
                answer = inbound.answer(rule)
                return _Found(Step(answer if rule is None else _allowed(connection, answer, rule.account_id)))
        if not question.attempt_id:
            return _Found(Step(HANG_UP))  # it came in, and what its rule says is done
        with looking(self._engine) as connection:
            asked = store.of_attempt(connection, asker.id, question.attempt_id)
            if asked is None:
                return _Found(Step(HANG_UP))
            step, call = answers.of_call(question, _said(question.attempt_id, asked)), asked.call
            answer = _allowed(connection, step.answer, call.account_id, call.campaign_id)
        return _Found(replace(step, answer=answer), (call.account_id, call.e164))

    def _leave(self, caller: tuple[str, str]) -> None:
        """Have somebody put on the DND list now, while their answer is on its way. Should that fail, who consumes the
        event does it."""
        loop = asyncio.get_running_loop()
        noted = loop.run_in_executor(self._threads, self._note, caller)
        self._leaving.add(noted)
        noted.add_done_callback(self._leaving.discard)

    def _note(self, caller: tuple[str, str]) -> None:
        try:
            with writing(self._engine) as connection:
                opt_out.note(connection, [caller], datetime.now(UTC))
        except SQLAlchemyError as error:
            log.warning("opting out is left to the consumer", error=type(error).__name__)


def _allowed(
    connection: Connection, answer: Answer, account_id: str, campaign_id: str | None = None
) -> Answer:
    """The answer without numbers that stand on a DND list that applies, as they are now; the rest of it, which travels
    with the call, is without them, too."""
    if answer.connect is None:
        return answer
    if campaign_id is None:
        lists = dnd.global_lists(connection, [account_id]).get(account_id, [])
    else:
        lists = campaigns.dnd_lists(connection, [campaign_id]).get(campaign_id, [])
    listed = {e164 for _, e164 in dnd.listed(connection, lists, answer.connect.numbers)}
    if listed:
        log.info("not connected: on a DND list", account_id=account_id, numbers=len(listed))
    return answers.without(answer, listed)


def _said(attempt_id: str, asked: store.Asked) -> Submission | None:
    try:
        if asked.campaign is not None:
            return content.of_campaign(attempt_id, asked.call, asked.campaign)
        return content.of_single(attempt_id, asked.call, asked.message)
    except (TemplateError, FlowError):
        return None  # it was said, and is forgotten


def _ignore(late: asyncio.Future[_Found]) -> None:
    if not late.cancelled():
        late.exception()
