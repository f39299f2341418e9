"""The states of campaigns, calls, attempts and verifications, and every transition between them.

One transition table per machine. The SQL in `dialer/store` moves rows only with a guarded
`UPDATE … WHERE state IN (allowed_from(target))` and checks its row count, so a transition that is not drawn
here cannot happen. `docs/lifecycle.md` shows the same tables as diagrams.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class CampaignState(StrEnum):
    """Where a campaign stands."""

    DRAFT = "DRAFT"  # being written; dials nobody
    SCHEDULED = "SCHEDULED"  # waits for its start date
    RUNNING = "RUNNING"  # releases calls, or drains them once its end date has passed
    PAUSED = "PAUSED"  # releases nothing until it is resumed; its end date still holds
    FINISHED = "FINISHED"  # every contact has an end
    STOPPED = "STOPPED"  # ended by a person; what was not dialled is cancelled


class CallState(StrEnum):
    """Where one intent to reach one number stands."""

    WAITING = "WAITING"  # for its `due_at`: a repeat, a window, a pace, a callback's time
    RELEASED = "RELEASED"  # may be dialled now; a doorbell was rung for it
    DIALLING = "DIALLING"  # a worker has claimed it and its attempt is being submitted
    IN_PROGRESS = "IN_PROGRESS"  # at the provider, or its fate there is being reconciled
    COMPLETED = "COMPLETED"  # end: the person was reached
    FAILED = "FAILED"  # end: not reached, and nothing is left to repeat
    SUPPRESSED = "SUPPRESSED"  # end: on a DND list, never dialled
    EXPIRED = "EXPIRED"  # end: its time ran out before it could be dialled
    CANCELLED = "CANCELLED"  # end: its campaign was stopped, or a person cancelled it
    UNKNOWN = "UNKNOWN"  # end: it may have been dialled, nobody can tell; never redialled by itself


class AttemptState(StrEnum):
    """Where one dial through one provider stands."""

    SUBMITTING = "SUBMITTING"  # committed before the first byte is sent
    PLACED = "PLACED"  # the provider took it
    RINGING = "RINGING"  # the provider has started on it
    ANSWERED = "ANSWERED"  # somebody picked up
    ENDED = "ENDED"  # final: the provider said how it ended
    NOT_PLACED = "NOT_PLACED"  # final: provably not sent, or documented as not processed (429)
    REFUSED = "REFUSED"  # final: the provider said no
    UNKNOWN = "UNKNOWN"  # sent without a definite answer; only the provider's word moves it on


class VerificationState(StrEnum):
    """Where a verification stands."""

    PENDING = "PENDING"  # its code is on its way, or waits to be told
    VERIFIED = "VERIFIED"  # end: the code was told
    FAILED = "FAILED"  # end: too many wrong codes, or the code reaches nobody there
    EXPIRED = "EXPIRED"  # end: its time ran out
    CANCELLED = "CANCELLED"  # end: whoever asked for it took it back


class Disposition(StrEnum):
    """How an attempt ended."""

    ANSWERED = "ANSWERED"  # somebody picked up and heard it
    NO_ANSWER = "NO_ANSWER"  # it rang, nobody picked up
    BUSY = "BUSY"  # the line was engaged
    REJECTED = "REJECTED"  # the callee declined
    UNAVAILABLE = "UNAVAILABLE"  # switched off, out of reach, out of order
    CONGESTION = "CONGESTION"  # no circuit free at the provider or in the network
    CANCELLED = "CANCELLED"  # ended by us or by the provider before an answer
    INVALID_NUMBER = "INVALID_NUMBER"  # there is no such number; never repeated
    MACHINE = "MACHINE"  # an answering machine picked up
    FAILED = "FAILED"  # it broke: playback, speech synthesis, script, route
    UNKNOWN = "UNKNOWN"  # nobody can tell; never repeated by itself


class DialStatus(StrEnum):
    """A disposition in the words of the first-generation API (`cpaas-campaign-api.md`, CDR section)."""

    ANSWER = "ANSWER"
    BUSY = "BUSY"
    NOANSWER = "NOANSWER"
    CANCEL = "CANCEL"
    CONGESTION = "CONGESTION"
    CHANUNAVAIL = "CHANUNAVAIL"
    DND = "DND"


class CallKind(StrEnum):
    """Why a call exists."""

    CAMPAIGN = "CAMPAIGN"
    OTP = "OTP"
    CLICK_TO_CALL = "CLICK_TO_CALL"
    CALLBACK = "CALLBACK"
    TRANSACTIONAL = "TRANSACTIONAL"
    ANNOUNCEMENT = "ANNOUNCEMENT"


#: Kinds of single calls that nobody waits for: they keep the calling window, and go behind those that are urgent.
NOT_URGENT = frozenset({CallKind.TRANSACTIONAL, CallKind.ANNOUNCEMENT})


class CdrKind(StrEnum):
    """What a CDR is of: a call of a `CallKind`, or one that came in."""

    CAMPAIGN = CallKind.CAMPAIGN
    OTP = CallKind.OTP
    CLICK_TO_CALL = CallKind.CLICK_TO_CALL
    CALLBACK = CallKind.CALLBACK
    TRANSACTIONAL = CallKind.TRANSACTIONAL
    ANNOUNCEMENT = CallKind.ANNOUNCEMENT
    #: Of a callback that an inbound rule made: not the agent, who called in was rung first.
    INBOUND_CALLBACK = "INBOUND_CALLBACK"
    INBOUND = "INBOUND"


CAMPAIGN_TRANSITIONS: Mapping[CampaignState, frozenset[CampaignState]] = {
    CampaignState.DRAFT: frozenset({CampaignState.SCHEDULED, CampaignState.STOPPED}),
    # PAUSED before it ever ran: a person holds a campaign back; FINISHED: its end passed before it could start.
    CampaignState.SCHEDULED: frozenset(
        {CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.FINISHED, CampaignState.STOPPED}
    ),
    CampaignState.RUNNING: frozenset({CampaignState.PAUSED, CampaignState.FINISHED, CampaignState.STOPPED}),
    # Resuming before the start date goes back to SCHEDULED.
    CampaignState.PAUSED: frozenset(
        {CampaignState.RUNNING, CampaignState.SCHEDULED, CampaignState.FINISHED, CampaignState.STOPPED}
    ),
    CampaignState.FINISHED: frozenset(),
    CampaignState.STOPPED: frozenset(),
}

#: Those in which a campaign dials nobody any more.
CAMPAIGN_ENDED = frozenset({CampaignState.FINISHED, CampaignState.STOPPED})

CALL_ENDS = frozenset(
    {
        CallState.COMPLETED,
        CallState.FAILED,
        CallState.SUPPRESSED,
        CallState.EXPIRED,
        CallState.CANCELLED,
        CallState.UNKNOWN,
    }
)
CALL_OPEN = frozenset(CallState) - CALL_ENDS

CALL_TRANSITIONS: Mapping[CallState, frozenset[CallState]] = {
    CallState.WAITING: frozenset(
        {
            CallState.RELEASED,
            CallState.SUPPRESSED,
            CallState.EXPIRED,
            CallState.CANCELLED,
            # A better word about an attempt that seemed to have failed came in while its repeat was waiting.
            CallState.COMPLETED,
        }
    ),
    CallState.RELEASED: frozenset(
        {
            CallState.DIALLING,
            CallState.WAITING,
            CallState.SUPPRESSED,
            CallState.EXPIRED,
            CallState.CANCELLED,
            CallState.FAILED,
            CallState.COMPLETED,
        }
    ),
    CallState.DIALLING: frozenset(
        {
            CallState.IN_PROGRESS,
            CallState.WAITING,
            CallState.COMPLETED,
            CallState.FAILED,
            CallState.CANCELLED,
            CallState.EXPIRED,
            CallState.UNKNOWN,
        }
    ),
    CallState.IN_PROGRESS: frozenset(
        {
            CallState.WAITING,
            CallState.COMPLETED,
            CallState.FAILED,
            CallState.CANCELLED,
            CallState.EXPIRED,
            CallState.UNKNOWN,
        }
    ),
    # The provider's late word settles it; a settled call is not repeated.
    CallState.UNKNOWN: frozenset({CallState.COMPLETED, CallState.FAILED}),
    CallState.COMPLETED: frozenset(),
    CallState.FAILED: frozenset({CallState.COMPLETED}),  # contradicting late word: it was answered after all
    CallState.SUPPRESSED: frozenset(),
    CallState.EXPIRED: frozenset(),
    CallState.CANCELLED: frozenset(),
}

ATTEMPT_OPEN = frozenset(
    {
        AttemptState.SUBMITTING,
        AttemptState.PLACED,
        AttemptState.RINGING,
        AttemptState.ANSWERED,
        AttemptState.UNKNOWN,
    }
)
ATTEMPT_FINAL = frozenset(AttemptState) - ATTEMPT_OPEN

ATTEMPT_TRANSITIONS: Mapping[AttemptState, frozenset[AttemptState]] = {
    AttemptState.SUBMITTING: frozenset(
        {
            AttemptState.PLACED,
            AttemptState.NOT_PLACED,
            AttemptState.REFUSED,
            AttemptState.UNKNOWN,
            # A callback may overtake the reply to the submit.
            AttemptState.RINGING,
            AttemptState.ANSWERED,
            AttemptState.ENDED,
        }
    ),
    AttemptState.PLACED: frozenset(
        {AttemptState.RINGING, AttemptState.ANSWERED, AttemptState.ENDED, AttemptState.UNKNOWN}
    ),
    AttemptState.RINGING: frozenset({AttemptState.ANSWERED, AttemptState.ENDED, AttemptState.UNKNOWN}),
    AttemptState.ANSWERED: frozenset({AttemptState.ENDED, AttemptState.UNKNOWN}),
    AttemptState.UNKNOWN: frozenset(
        {
            AttemptState.PLACED,
            AttemptState.RINGING,
            AttemptState.ANSWERED,
            AttemptState.ENDED,
            AttemptState.NOT_PLACED,
            AttemptState.REFUSED,
        }
    ),
    AttemptState.ENDED: frozenset(),
    AttemptState.NOT_PLACED: frozenset(),
    AttemptState.REFUSED: frozenset(),
}

VERIFICATION_TRANSITIONS: Mapping[VerificationState, frozenset[VerificationState]] = {
    VerificationState.PENDING: frozenset(
        {
            VerificationState.VERIFIED,
            VerificationState.FAILED,
            VerificationState.EXPIRED,
            VerificationState.CANCELLED,
        }
    ),
    VerificationState.VERIFIED: frozenset(),
    VerificationState.FAILED: frozenset(),
    VerificationState.EXPIRED: frozenset(),
    VerificationState.CANCELLED: frozenset(),
}

StateT = TypeVar("StateT", CampaignState, CallState, AttemptState, VerificationState)


def allowed_from(transitions: Mapping[StateT, frozenset[StateT]], target: StateT) -> frozenset[StateT]:
    """The states from which `target` may be entered: the guard of an `UPDATE … WHERE state IN (…)`."""
    return frozenset(source for source, targets in transitions.items() if target in targets)


#: `dial_status` of the first-generation API for each disposition. That API has no word for a fate nobody knows
#: nor for a broken playback; both are calls that did not come about, so CHANUNAVAIL.
DIAL_STATUS: Mapping[Disposition, DialStatus] = {
    Disposition.ANSWERED: DialStatus.ANSWER,
    Disposition.MACHINE: DialStatus.ANSWER,
    Disposition.NO_ANSWER: DialStatus.NOANSWER,
    Disposition.BUSY: DialStatus.BUSY,
    Disposition.REJECTED: DialStatus.BUSY,
    Disposition.CANCELLED: DialStatus.CANCEL,
    Disposition.CONGESTION: DialStatus.CONGESTION,
    Disposition.UNAVAILABLE: DialStatus.CHANUNAVAIL,
    Disposition.INVALID_NUMBER: DialStatus.CHANUNAVAIL,
    Disposition.FAILED: DialStatus.CHANUNAVAIL,
    Disposition.UNKNOWN: DialStatus.CHANUNAVAIL,
}
