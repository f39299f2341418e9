"""MTT: announcements by a spoken text, menus, and voice OTP (`mtt-telecom-api.md`, entry point `sb-api.mtt.ru/v1/sb`).

One POST with MTT's word for the method places one call; `result.success` in the reply says whether it was taken.
Callbacks come at an address that MTT is given by hand: `o_<number>` when the call is begun,
`h_<number>_<cause>_<seconds>` when it is over, and between them, of calls that ask for keys, what was pressed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from dialer.calls.flow import Flow
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers import mtt_menu
from dialer.providers.base import Adapter, refused_by_status
from dialer.providers.contract import (
    Capability,
    EventError,
    Fact,
    Outcome,
    ProviderConfig,
    ProviderRequest,
    ProviderSettingError,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
    Verdict,
    json_object,
)
from dialer.providers.mitto import FEMALE, GENDERS, MALE
from dialer.providers.mtt import basic_authorization, event_parameters
from dialer.providers.reading import checked_reference, digits, seconds

#: Parameters `b_number` and `a_number`: "strictly 11 digits".
NUMBER_LENGTH = 11

#: Parameter `langCode`. Its table for calls that ask for keys has Turkish, too; announcements have these alone.
LANGUAGES = frozenset({"ru-RU", "en-US"})

#: Parameter `voice_name`, all of it. A campaign may name one of them; the voices that the campaign API names become
#: one of their gender, and any other leaves the choice to MTT.
FEMALE_VOICES = frozenset({"alyss", "jane", "oksana", "omazh"})
MALE_VOICES = frozenset({"zahar", "ermil", "erkanyavas"})
VOICE_BY_GENDER: Mapping[int, str] = {FEMALE: "oksana", MALE: "zahar"}

#: Parameter `emotion`.
EMOTIONS = ("good", "evil", "neutral")

#: Parameter `speed_speech` (0.1-3.0, "1.0 is the average speed of human speech") for the words of create_campaign.
SPEEDS: Mapping[str, float] = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "fast": 1.25, "x-fast": 1.5}

#: "Variants of an unsuccessful reply": every `result.error`, and the `message` that comes alone.
REFUSALS: Mapping[str, Refusal] = {
    '"b_number" should be in e164 format': Refusal.BAD_NUMBER,
    '"a_number" should be in e164 format': Refusal.BAD_REQUEST,
    '"messId" not found in request body': Refusal.BAD_REQUEST,
    '"notify" value is not allowed': Refusal.BAD_REQUEST,  # an address that keys are told to is not https
    "access forbidden": Refusal.PROVIDER,  # a wrong `method`
    "Forbidden": Refusal.PROVIDER,  # a wrong `sip_id`
}

#: "Online notifications", `cause`. The reference shows 16, 17 and 20 and leaves the list to a section that it does not
#: hold; where it speaks of causes elsewhere ("Events") they are ISUP codes, which are those of Q.850.
CAUSES: Mapping[int, Disposition] = {
    1: Disposition.INVALID_NUMBER,  # Unallocated number
    2: Disposition.FAILED,  # No route to transit network
    3: Disposition.FAILED,  # No route to destination
    16: Disposition.ANSWERED,  # Normal call clearing: "picked up, listened to the text", see `ending`
    17: Disposition.BUSY,  # User busy: "the subscriber is busy"
    18: Disposition.NO_ANSWER,  # No user responding
    19: Disposition.NO_ANSWER,  # No answer from user
    20: Disposition.UNAVAILABLE,  # Subscriber absent: "the subscriber is unavailable"
    21: Disposition.REJECTED,  # Call rejected
    22: Disposition.INVALID_NUMBER,  # Number changed
    25: Disposition.FAILED,  # Exchange routing error
    27: Disposition.UNAVAILABLE,  # Destination out of order
    28: Disposition.INVALID_NUMBER,  # Invalid number format
    29: Disposition.FAILED,  # Facility rejected
    31: Disposition.UNKNOWN,  # Normal, unspecified: an end like any other, but who ended it, and when, is not said
    34: Disposition.CONGESTION,  # No circuit available
    38: Disposition.CONGESTION,  # Network out of order
    41: Disposition.CONGESTION,  # Temporary failure
    42: Disposition.CONGESTION,  # Switching equipment congestion
    44: Disposition.CONGESTION,  # Requested circuit not available
    47: Disposition.CONGESTION,  # Resource unavailable, unspecified
    50: Disposition.FAILED,  # Requested facility not subscribed
    57: Disposition.FAILED,  # Bearer capability not authorized
    58: Disposition.FAILED,  # Bearer capability not available
    63: Disposition.FAILED,  # Service or option not available
    65: Disposition.FAILED,  # Bearer capability not implemented
    69: Disposition.FAILED,  # Requested facility not implemented
    79: Disposition.FAILED,  # Service or option not implemented
    88: Disposition.FAILED,  # Incompatible destination
    95: Disposition.FAILED,  # Invalid message
    96: Disposition.FAILED,  # Mandatory information element is missing
    97: Disposition.FAILED,  # Message type non-existent
    98: Disposition.FAILED,  # Message not compatible with call state, or non-existent
    99: Disposition.FAILED,  # Information element non-existent
    100: Disposition.FAILED,  # Invalid information element contents
    101: Disposition.FAILED,  # Message not compatible with call state
    102: Disposition.FAILED,  # Recovery on timer expiry
    111: Disposition.FAILED,  # Protocol error
    127: Disposition.FAILED,  # Interworking, unspecified
}

CLEARED = 16

#: MTT's clocks: the reference says so where it speaks of an event's time ("date and time of the event, Moscow time").
MOSCOW = ZoneInfo("Europe/Moscow")
TIME_FORMAT = "%Y-%m-%d-%H-%M-%S"

#: "Online notifications": `o_b_number`, `h_b_number_cause_duration`, `n_b_number`. A plus that was not encoded comes
#: out of a form as a space.
_EVENT = re.compile(r"[on]_[+ ]?[0-9]{1,20}|h_[+ ]?[0-9]{1,20}(?:_[^_]*){0,2}")
_KEYS = re.compile(r"[0-9*#]{1,32}")
_CALL_ID = re.compile(r"[!-~]{1,64}")


class MttVoiceAdapter(Adapter):
    """One account of MTT's informing by voice; MTT hands out its login, method and number."""

    kind = "mtt-voice"
    default_base_url = "https://sb-api.mtt.ru/v1/sb"
    required_settings: ClassVar[Mapping[str, str]] = {
        "username": "user name of MTT's Basic authorization",
        "password": "password of the same",
        "method": "MTT's word for announcements, as it handed it out",
        "sip_id": "the MTT number that the account is known by",
    }
    optional_settings: ClassVar[Mapping[str, str]] = {
        "a_number": "outgoing number of calls without a caller id of their own, `sip_id` unless set",
        "ivr_method": "MTT's word for calls that ask for keys, `ivr-api` unless set; announcements do not use it",
        "emotion": f"how MTT's voices sound, {', '.join(EMOTIONS)}; neutral unless set",
    }
    capabilities = frozenset({Capability.ANNOUNCE_TEXT, Capability.VOICE_OTP, Capability.IVR})
    final_event_within = timedelta(minutes=15)
    keys_need_https = True  # "value" of a notify, and `"notify" value is not allowed`

    def __init__(self, config: ProviderConfig) -> None:
        """Raises ProviderSettingError when the configuration cannot work."""
        super().__init__(config)
        given = self.settings.get("a_number", "").strip()
        self._a_number = digits(given)
        if given and len(self._a_number) != NUMBER_LENGTH:
            raise ProviderSettingError(
                f"The a_number of provider {config.name} must have exactly {NUMBER_LENGTH} digits."
            )
        self._emotion = self.settings.get("emotion", "").strip().lower()
        if self._emotion and self._emotion not in EMOTIONS:
            raise ProviderSettingError(
                f"The emotion of provider {config.name} must be one of {', '.join(EMOTIONS)}."
            )

    def build_request(self, submission: Submission) -> ProviderRequest:
        """See "The method initiates a call to the number".

        Of calls that ask for keys the reference says two things. Its table has `dtmf` beside `data` and the example has
        it within, as we do; its table calls the language `langCode`, as we do, and the example `lang_code`. Its table
        wants an `a_number`, which the example does not have: they are always given one.
        """
        to = digits(submission.to)
        if len(to) != NUMBER_LENGTH:
            raise RefusedError(
                Refusal.BAD_NUMBER,
                f"MTT calls numbers of exactly {NUMBER_LENGTH} digits, and this has {len(to)}",
            )
        text, times, menu = self._said(submission)
        sip_id = self.settings["sip_id"].strip().removeprefix("+")
        data: dict[str, Any] = {
            "messId": submission.attempt_id,
            "sip_id": sip_id,
            "b_number": to,
            "messText": said_often(text, times),
            **menu,
        }
        # MTT shows sip_id when it is given none; a call that asks for keys must be given one.
        source = digits(submission.caller_id) or self._a_number or (digits(sip_id) if menu else "")
        if source:
            if len(source) != NUMBER_LENGTH:
                raise RefusedError(
                    Refusal.BAD_REQUEST,
                    f"MTT shows caller ids of exactly {NUMBER_LENGTH} digits; give another one",
                )
            data["a_number"] = source
        data.update(voice_settings(submission))
        if self._emotion:
            data["emotion"] = self._emotion
        method = (self.settings.get("ivr_method") or "ivr-api") if menu else self.settings["method"]
        body = {"method": method.strip(), "data": data}
        return ProviderRequest("POST", "", headers=self._authorization(), json=body)

    def _said(self, submission: Submission) -> tuple[str, int, dict[str, Any]]:
        """The text, how often it is said, and what keys do."""
        flow = submission.flow
        if flow is None:
            if not submission.text:
                raise RefusedError(
                    Refusal.BAD_REQUEST, "MTT speaks texts and plays no recorded files; give the call a text"
                )
            return submission.text, submission.repeat_count, {}
        if problems := mtt_menu.why_not(flow):
            raise RefusedError(Refusal.BAD_REQUEST, problems[0])
        if not self.config.callback_url.startswith("https://"):
            raise RefusedError(
                Refusal.NOT_HERE, "MTT tells of keys at https addresses only; DIALER_PUBLIC_URL must be one"
            )
        dtmf = mtt_menu.dtmf_of(flow, self.config.callback_url)
        return mtt_menu.text_of(flow), 1 + flow.menus[flow.first].repeats, {"dtmf": dtmf}

    def read_reply(self, reply: Reply) -> Verdict:
        """See "Successful reply" and "Variants of an unsuccessful reply"."""
        answer = reply_object(reply.body)
        result = answer.get("result")
        told = result if isinstance(result, dict) else {}
        success, word = told.get("success"), told.get("error")
        if success in (1, "1"):
            if word or reply.status >= 400:
                return Verdict(
                    Outcome.UNKNOWN,
                    detail=f"MTT answered success with an error, or under HTTP {reply.status}",
                )
            reference = answer.get("CallID")
            return Verdict(
                Outcome.PLACED, provider_reference=reference if isinstance(reference, str) else None
            )
        if result is None:
            word = answer.get("message")
        elif success not in (0, "0"):
            word = None
        word = word.strip() if isinstance(word, str) else ""
        if word in REFUSALS:
            return Verdict(Outcome.REFUSED, refusal=REFUSALS[word], detail=f"MTT answered {word}")
        if reply.status >= 400:
            return refused_by_status(reply, "an error that MTT documents")
        return Verdict(Outcome.UNKNOWN, detail=f"HTTP {reply.status} without a result that MTT documents")

    @classmethod
    def read_event(cls, raw: RawEvent) -> list[Fact]:
        """See "Online notifications" and "Event notifications". What is told of a key comes with `type` notify, under
        the heading "type:callback": the letter of the event counts."""
        fields = event_parameters(raw)
        event = fields.get("event", "").strip()
        if not _EVENT.fullmatch(event):
            raise EventError("the callback's event is not one that MTT documents")
        attempt_id = checked_reference(fields.get("id", ""))
        at = utc_of(fields.get("date_time", "")) or raw.received_at
        theirs = call_id(fields.get("CallID", ""))
        letter, _, *how = event.split("_")
        keys = pressed(fields.get("dtmf", ""))
        if letter != "n" and (fields.get("type") or fields.get("dtmf")):
            # A transfer: the call to the number that a key led to. It is no other attempt, and its end not the
            # attempt's. Only its beginning says something new, the key.
            if not keys or letter != "o":
                return []
            return [_fact(attempt_id, AttemptState.ANSWERED, at, theirs, keys)]
        if letter == "n":  # who is told to have chosen, or not to have, has picked up
            return [_fact(attempt_id, AttemptState.ANSWERED, at, theirs, keys)]
        if letter == "o":
            return [_fact(attempt_id, AttemptState.RINGING, at, theirs)]
        cause, length = [*how, "", ""][:2]
        listened = seconds(length)
        disposition, hangup_cause = ending(cause, listened)
        is_unheard_of = hangup_cause is None  # else it is one of CAUSES, whatever it leaves open
        return [
            Fact(
                attempt_id=attempt_id,
                state=AttemptState.ENDED,
                disposition=disposition,
                hangup_cause=hangup_cause,
                at=at,
                duration=listened,  # MTT counts no other seconds
                billsec=listened,
                cost=None,
                provider_reference=theirs,
                is_unheard_of=is_unheard_of,
            )
        ]

    @classmethod
    def check_campaign(cls, language: str, has_text: bool, has_media: bool) -> list[str]:
        """The text's language must be one of `LANGUAGES`."""
        problems = super().check_campaign(language, has_text, has_media)
        if has_text and mtt_language(language) is None:
            problems.append(_no_language(language))
        return problems

    @classmethod
    def check_flow(cls, flow: Flow, language: str) -> list[str]:
        """The flow must be one menu as `mtt_menu` can write it, in one of its languages."""
        known = mtt_language(language, mtt_menu.LANGUAGES)
        return [*mtt_menu.why_not(flow), *([] if known else [_no_language(language, mtt_menu.LANGUAGES)])]

    def _authorization(self) -> dict[str, str]:
        """See "Authorization: Basic Auth"."""
        return basic_authorization(self.settings["username"].strip(), self.settings["password"])


def said_often(text: str, times: int) -> str:
    """A text on one line, as often as it is to be announced: MTT has no word for repeating it."""
    text = " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", text).split())
    pause = " " if text.endswith((".", "!", "?")) else ". "
    return pause.join([text] * max(1, times))


def mtt_language(language: str, offered: frozenset[str] = LANGUAGES) -> str | None:
    """MTT's code for one of ours, in any case, with `_` or `-`; None when it is not among those offered."""
    word = language.strip().replace("_", "-").lower()
    return next((one for one in offered if one.lower() == word), None)


def voice_settings(submission: Submission) -> dict[str, Any]:
    """`langCode`, `voice_name` and `speed_speech` for a text; a word that we do not know is left to MTT.

    Raises RefusedError for a language that MTT does not offer: it would be read out as if it were another.
    MTT has neither volume nor pitch, and `emotion` is the provider's setting.
    """
    offered = LANGUAGES if submission.flow is None else mtt_menu.LANGUAGES
    language = mtt_language(submission.language, offered)
    if language is None:
        raise RefusedError(Refusal.BAD_REQUEST, _no_language(submission.language, offered))
    chosen: dict[str, Any] = {
        "langCode": language,
        "voice_name": mtt_voice(submission.voice),
        "speed_speech": SPEEDS.get(_word(submission.rate)),
    }
    return {name: value for name, value in chosen.items() if value is not None}


def mtt_voice(voice: str) -> str | None:
    """One of MTT's voices for one of ours, in any case; None leaves the choice to MTT."""
    word = _word(voice)
    if word in FEMALE_VOICES | MALE_VOICES:
        return word
    return VOICE_BY_GENDER.get(GENDERS.get(word, 0))


def reply_object(body: bytes) -> dict[str, Any]:
    """A reply's JSON object, empty when there is none. The reference prints one of them ("wrong sip id") in a second
    pair of braces, which is no JSON; it is read as what stands within."""
    found = json_object(body)
    if found is None:
        text = body.strip()
        found = json_object(text[1:-1]) if text[:1] == b"{" and text[-1:] == b"}" else None
    return found or {}


def utc_of(date_time: str) -> datetime | None:
    """The moment (UTC) of an event, from MTT's `2019-03-29-11-37-13` in Moscow; None when it is not written so."""
    try:
        return datetime.strptime(date_time.strip(), TIME_FORMAT).replace(tzinfo=MOSCOW).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def pressed(dtmf: str) -> str:
    """The keys in a callback's `dtmf`; none when it is `null`, absent or nothing that a telephone has."""
    return dtmf if _KEYS.fullmatch(dtmf) else ""


def ending(cause: str, listened: float | None) -> tuple[Disposition, int | None]:
    """How an attempt ended, from the cause and the seconds of listening; with the Q.850 cause.

    Who has listened has picked up, whatever ended the call then. A cause outside the table is UNKNOWN. So is 16 without
    a second of listening, which the reference does not show: a normal end says by itself who hung up, and not that
    anybody had picked up.
    """
    code = int(cause) if re.fullmatch(r"[0-9]{1,3}", cause) else -1
    disposition = CAUSES.get(code)
    if disposition is None:
        return Disposition.UNKNOWN, None
    if listened:
        return Disposition.ANSWERED, code
    return Disposition.UNKNOWN if code == CLEARED else disposition, code


def call_id(told: str) -> str | None:
    """MTT's reference of the call in a callback's `CallID`, for an attempt whose reply was lost; None without one."""
    return told if _CALL_ID.fullmatch(told) else None


def _fact(attempt_id: str, state: AttemptState, at: datetime, theirs: str | None, dtmf: str = "") -> Fact:
    return Fact(attempt_id, state, None, None, at, None, None, None, provider_reference=theirs, dtmf=dtmf)


def _word(value: str) -> str:
    """The campaign API's reference breaks some words (`x- soft`); so do people."""
    return "".join(value.split()).lower()


def _no_language(language: str, offered: frozenset[str] = LANGUAGES) -> str:
    return f"MTT does not speak {language[:20]!r}; choose one of {', '.join(sorted(offered))}."
