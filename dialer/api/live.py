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

from dialer.calls import answers, content, handing_on, inbound, opt_out
from dialer.calls.flow_form import FlowError
from dialer.calls.flow_steps import HANG_UP, Step
from dialer.calls.handing_on import HandingOn
from dialer.calls.inbound import Given
from dialer.campaigns.template import TemplateError
from dialer.db import looking, writing
from dialer.dnd.applicable import campaign_heeded
from dialer.logs import get_logger
from dialer.providers.base import Adapter
from dialer.providers.contract import EventError, RawEvent, Submission
from dialer.providers.live import Answer, Asks, Question, Response
from dialer.store import answers as store
from dialer.store import campaigns
from dialer.store import inbound as rules

log = get_logger(__name__)

#: Seconds from when a question's head has been read to its answer, at most, storing it included. iotcomms waits 0.3.
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
class Replied:
    """What a question is answered with, None where that cannot be written; what somebody who calls in is given by it;
    and whether that was known in time."""

    response: Response | None
    given: Given | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What to answer, who leaves by it (account, E.164), and what somebody who calls in is given; `is_known` unless
    nobody could tell in time."""

    step: Step
    caller: tuple[str, str] | None = field(default=None, repr=False)
    given: Given | None = None
    is_known: bool = True


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

    def left(self, began: float) -> float:
        """Seconds that are left for what `began` at that time of the loop, at least 0."""
        return max(0.0, began + self._deadline - asyncio.get_running_loop().time())

    async def answer(self, asker: Asker, question: Question, began: float) -> Replied:
        """The answer to a question that `began` at that time of the loop. Never raises."""
        found = await self._find(asker, question, began)
        try:
            answer = replace(found.step.answer, callback_url=asker.callback_url)
            response = asker.kind.write_answer(question, answer, asker.settings)
        except Exception as error:  # noqa: BLE001 - a bug of one adapter: the event is kept, and nobody else suffers
            log.error("answer cannot be written", provider=asker.name, error=type(error).__name__)
            return Replied(None, None if found.given is None else Given(), found.is_known)
        return Replied(response, found.given, found.is_known)

    async def _find(self, asker: Asker, question: Question, began: float) -> Found:
        if question.settled is not None:
            return Found(Step(question.settled))
        nothing = Found(Step(answers.in_time(question)), given=_refused(question), is_known=False)
        loop = asyncio.get_running_loop()
        looked_up = loop.run_in_executor(self._threads, self._look_up, asker, question)
        done, _ = await asyncio.wait([looked_up], timeout=self.left(began))
        if not done:
            log.warning("answer not known in time", provider=asker.name, asks=question.asks.value)
            looked_up.add_done_callback(_ignore)
            return nothing
        try:
            found = looked_up.result()
        except Exception as error:  # noqa: BLE001 - whatever it was, somebody is on the line
            log.error("answer not known", provider=asker.name, error=type(error).__name__)
            return nothing
        if found.step.effects.opt_out and found.caller is not None:
            self._leave(found.caller)
        return found

    def _look_up(self, asker: Asker, question: Question) -> Found:
        with looking(self._engine) as connection:
            return look_up(connection, asker, question)

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


def look_up(connection: Connection, asker: Asker, question: Question) -> Found:
    """What to answer, from the rule of the number that is called, or from the call that is asked about."""
    if question.asks is Asks.INBOUND:
        rule = rules.rule_of(connection, asker.id, question.called)
        if rule is None:
            return Found(Step(inbound.answer(None)), given=Given())
        answer = _allowed(connection, inbound.answer(rule), rule.account_id)
        return Found(Step(answer), given=Given.by(rule, answer))
    if not question.attempt_id:
        return Found(Step(HANG_UP))  # it came in, and what its rule says is done
    asked = store.of_attempt(connection, asker.id, question.attempt_id)
    if asked is None:
        return Found(Step(HANG_UP))
    said, call = _said(question.attempt_id, asked), asked.call
    transfer = HandingOn.of(asked.handles)
    step = None if transfer is None else handing_on.answer(question, said, transfer)
    if step is None:
        step = answers.of_call(question, said)
    answer = _allowed(connection, step.answer, call.account_id, campaign_heeded(call))
    return Found(replace(step, answer=answer), (call.account_id, call.e164))


def _refused(question: Question) -> Given | None:
    """What somebody who calls in is given when nobody knows in time what to do with them."""
    return Given() if question.asks is Asks.INBOUND else None


def _allowed(
    connection: Connection, answer: Answer, account_id: str, campaign_id: str | None = None
) -> Answer:
    """The answer without numbers that stand on a DND list that applies, as they are now; the rest of it, which travels
    with the call, is without them, too."""
    if answer.connect is None:
        return answer
    listed = campaigns.listed(connection, account_id, campaign_id, answer.connect.numbers)
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


def _ignore(late: asyncio.Future[Found]) -> None:
    if not late.cancelled():
        late.exception()
