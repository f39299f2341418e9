"""Mitto: announcements by text or recorded file through a prepared application (`mitto-platform-api.md`).

`POST apps/activate` starts the application for one number; it answers under HTTP 200 with a `status` word.
Callbacks come as GET with everything in the URL: `startCallback` when it starts, `endCallback` when it is over.
Mitto's own repeats (`isRepeat`) are asked for where a campaign wants them and they fit; else our repeat policy decides
about every ring. Callbacks do not tell which dial they speak of, or whether it was the last.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from dialer.calls.repeats import RepeatPolicy, RepeatPolicyError
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter, refused_by_status
from dialer.providers.contract import (
    Capability,
    EventError,
    Fact,
    Outcome,
    ProviderError,
    ProviderRequest,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
    Verdict,
)
from dialer.providers.mitto_methods import METHODS, authorization
from dialer.providers.reading import checked_reference, digits, event_fields, seconds


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: "Application activation", parameter `language`, letter by letter: the reference writes `en-UA` for Australian
#: English and `fi-CA` for Canadian French.
LANGUAGES = _words(
    "en-US en-IN en-IE en-UA en-GB-WLS en-NZ en-ZA ar-AE nl-NL nl-BE da-DK is-IS es-ES es-US es-MX it-IT ca-ES "
    "cmn-CN yue-CN ko-KR de-DE de-AT nb-NO pl-PL pt-PT pt-BR ro-RO ru-RU tr-TR cy-GB fi-FI fr-FR fi-CA fr-BE "
    "sv-SE ja-JP"
)

#: Usual codes for languages that Mitto spells in its own way.
LANGUAGE_ALIASES: Mapping[str, str] = {
    "en-au": "en-UA",
    "fr-ca": "fi-CA",
    "zh-cn": "cmn-CN",
    "zh-hk": "yue-CN",
    "no-no": "nb-NO",
}
_LANGUAGE_BY_LOWER = {language.lower(): language for language in LANGUAGES}

#: Parameter `gender`: "2 — female, 1 — male". The campaign API names voices (Joanna, Matthew, …); any other voice
#: sends no gender, and Mitto chooses.
MALE, FEMALE = 1, 2
GENDERS: Mapping[str, int] = {
    **dict.fromkeys(
        _words(
            "male man adriano andres arthur brian cristiano daniel enrique geraint giorgio gregory hans jacek jan joey "
            "justin karl kevin liam mads mathieu matthew maxim miguel pedro remi ricardo ruben russell sergio stephen "
            "takumi thiago zayd"
        ),
        MALE,
    ),
    **dict.fromkeys(
        _words(
            "female woman aditi amy arlet astrid ayanda bianca camila carla carmen celine chantal conchita danielle "
            "dora elin emma ewa filiz gabrielle gwyneth hala hannah hiujin ida ines isabelle ivy jihye joanna kajal "
            "kazuha kendra kimberly laura lea lia lisa liv lotte lucia lupe maja marlene mia mizuki naja niamh nicole "
            "ola olivia penelope raveena ruth salli seoyeon sofie suvi tatyana tomoko vicki vitoria zeina "
            "zhiyu"
        ),
        FEMALE,
    ),
}

#: Parameter `volume` (0-2) for the words of create_campaign.
VOLUMES: Mapping[str, int] = {"silent": 0, "x-soft": 0, "soft": 0, "medium": 1, "loud": 2, "x-loud": 2}

#: Parameter `rate` (0-4, "0 is the slowest") for the words of create_campaign.
RATES: Mapping[str, int] = {"x-slow": 0, "slow": 1, "medium": 2, "fast": 3, "x-fast": 4}

#: "Response format": every value of `status`.
#: `rpcError` is a failed exchange inside Mitto, between the API and what dials: the order may have got through.
STATUSES: Mapping[str, tuple[Outcome, Refusal | None]] = {
    "ok": (Outcome.PLACED, None),
    "invalidAccessKeyError": (Outcome.REFUSED, Refusal.PROVIDER),
    "requiredJsonError": (Outcome.REFUSED, Refusal.BAD_REQUEST),
    "invalidSchemeError": (Outcome.REFUSED, Refusal.BAD_REQUEST),
    "invalidDataError": (Outcome.REFUSED, Refusal.BAD_REQUEST),
    "prohibitedForAppError": (Outcome.REFUSED, Refusal.PROVIDER),
    "prohibitedForServiceError": (Outcome.REFUSED, Refusal.PROVIDER),
    "rpcError": (Outcome.UNKNOWN, None),
}

STATE_OK, STATE_ERR = "2", "5"  # "state is the result of script execution"

#: Ends the reference of an attempt whose repeats Mitto makes. Callbacks of two dials that end alike are the same to the
#: letter: of these, what comes again after `AGAIN` seconds is another dial's, and no delivery that is repeated.
REPEATED = ".r"
AGAIN = 10

#: "The API key of the application", in every endCallback: with it whoever reads it could call at our expense.
_APP_KEY = re.compile(r'((?:^|(?<=&))appKey=)[^&"\s]*|("appKey"\s*:\s*")[^"]*')  # of a form, and of JSON

Ending = tuple[Disposition, int | None]  # with the Q.850 cause, where there is one

#: "error — error code" of endCallback, under STATE_ERR. 16 and 19 are not the Q.850 causes of the same number
#: ("dial attempts exhausted", "unavailable"), so the cause is the one that Q.850 gives to what is meant.
END_ERRORS: Mapping[int, Ending] = {
    16: (Disposition.NO_ANSWER, 19),  # ERR_NO_ANSWER
    17: (Disposition.BUSY, 17),  # ERR_BUSY
    19: (Disposition.UNAVAILABLE, 20),  # ERR_ALERTING: "The subscriber is unavailable"
    34: (Disposition.CONGESTION, 34),  # ERR_CONGESTION
    1001: (Disposition.FAILED, None),  # ERR_PLAY
    1002: (Disposition.FAILED, None),  # ERR_TTS
    1003: (Disposition.FAILED, None),  # ERR_ASR
    1017: (Disposition.FAILED, None),  # ERR_TTS
}

#: Both tables print a word and a number for each, and no example: what comes as its word is its number.
WORDS: Mapping[str, str] = {
    "STATE_OK": STATE_OK,
    "STATE_ERR": STATE_ERR,
    "ERR_NO_ANSWER": "16",
    "ERR_BUSY": "17",
    "ERR_ALERTING": "19",
    "ERR_CONGESTION": "34",
    "ERR_PLAY": "1001",
    "ERR_TTS": "1002",
    "ERR_ASR": "1003",
}

#: "Script execution error codes": the script's own. All say that it broke on the provider's side.
SCRIPT_ERRORS: Mapping[int, Ending] = dict.fromkeys(range(1001, 1022), (Disposition.FAILED, None))

#: "Script execution error codes": the network's, after Q.850. 98, 99 and those above 127 are Mitto's own.
NETWORK_ERRORS: Mapping[int, Ending] = {
    0: (Disposition.ANSWERED, 16),  # Call sent to void: "The completion of a normal scenario"
    1: (Disposition.INVALID_NUMBER, 1),  # Unallocated
    4: (Disposition.FAILED, None),  # Vendor specific
    5: (Disposition.FAILED, None),  # Vendor specific
    6: (Disposition.CONGESTION, 6),  # Channel unaccessible
    9: (Disposition.FAILED, None),  # 9-13 Vendor specific
    10: (Disposition.FAILED, None),
    11: (Disposition.FAILED, None),
    12: (Disposition.FAILED, None),
    13: (Disposition.FAILED, None),
    16: (Disposition.ANSWERED, 16),  # Normal Clearing
    17: (Disposition.BUSY, 17),  # Line busy
    18: (Disposition.NO_ANSWER, 18),  # No user response
    19: (Disposition.NO_ANSWER, 19),  # No answer
    20: (Disposition.UNAVAILABLE, 20),  # Subscriber absent
    21: (Disposition.REJECTED, 21),  # Call Rejected
    22: (Disposition.INVALID_NUMBER, 22),  # Number changed
    27: (Disposition.UNAVAILABLE, 27),  # Destination out of order
    28: (Disposition.INVALID_NUMBER, 28),  # Invalid number format
    29: (Disposition.FAILED, 29),  # Facility rejected
    31: (Disposition.ANSWERED, 31),  # Normal unspecified: "The call ended for the usual reason"
    32: (Disposition.FAILED, None),  # (Reserved)
    34: (Disposition.CONGESTION, 34),  # No circuit available
    36: (Disposition.UNAVAILABLE, None),  # Out of order: "equipment or line is not working properly"
    38: (Disposition.CONGESTION, 38),  # Network out of order
    43: (Disposition.UNAVAILABLE, 43),  # Access disconnect
    58: (Disposition.FAILED, 58),  # Bearer capability not available
    98: (Disposition.CANCELLED, None),  # Blacklist: the provider would not dial it
    99: (Disposition.MACHINE, None),  # "the call was processed by the auto-informer"
    100: (Disposition.FAILED, 100),  # Invalid IE contents
    102: (Disposition.FAILED, 102),  # Recovery on timer expiry
    127: (Disposition.FAILED, 127),  # Interworking, unspecified
    199: (Disposition.FAILED, None),  # Transaction abort
    200: (Disposition.INVALID_NUMBER, None),  # No translation for address of such nature
    201: (Disposition.INVALID_NUMBER, None),  # No translation for this specific address
    212: (Disposition.FAILED, None),  # Hop counter violation
}


class MittoAdapter(Adapter):
    """One application of a Mitto account; the access key names the application."""

    kind = "mitto"
    default_base_url = "https://cpaas.mittoapi.net/api"
    required_settings: ClassVar[Mapping[str, str]] = {"access_key": "the application's access key"}
    optional_settings: ClassVar[Mapping[str, str]] = {
        "source_addr": "outgoing number of calls without a caller id of their own",
        "callback_user": "user name of the callbacks' Basic authorization",
        "callback_password": "password of the callbacks' Basic authorization",
        "text_variable": "the script's variable for the text, `text` unless set",
        "media_variable": "the script's variable for the recorded file, `file` unless set",
        "repeat_variable": "the script's variable for the number of announcements, if it has one",
    }
    capabilities = frozenset(
        {Capability.ANNOUNCE_TEXT, Capability.ANNOUNCE_FILE, Capability.VOICE_OTP, Capability.REPEATS}
    )
    final_event_within = timedelta(minutes=15)
    methods = METHODS

    def build_request(self, submission: Submission) -> ProviderRequest:
        """See "Application activation" and "Launching the application with repeats"."""
        source = digits(submission.caller_id or self.settings.get("source_addr", ""))
        if not source:
            raise RefusedError(
                Refusal.BAD_REQUEST,
                "there is no caller id: give the campaign one, or the provider source_addr",
            )
        body: dict[str, Any] = {
            "reference": submission.attempt_id,
            "sourceAddr": source,
            "destAddr": digits(submission.to),
            "scenarioData": self._scenario_data(submission),
        }
        if submission.text:
            body.update(voice_settings(submission))
        if submission.repeats is not None:
            body.update(_repeats(submission.repeats), reference=f"{submission.attempt_id}{REPEATED}")
        return ProviderRequest("POST", "apps/activate", headers=authorization(self.settings), json=body)

    def read_reply(self, reply: Reply) -> Verdict:
        """See "Response format"; the plain activation answers only a status, so our reference stands for theirs."""
        answer = reply.json_object()
        status = answer.get("status") if answer is not None else None
        if answer is None or not isinstance(status, str) or status not in STATUSES:
            if reply.status >= 400:
                return refused_by_status(reply, "a status")
            return Verdict(
                Outcome.UNKNOWN, detail=f"HTTP {reply.status} without a status that Mitto documents"
            )
        verdict = by_word(status)
        if verdict.outcome is not Outcome.PLACED:
            return verdict
        if reply.status >= 400:
            return Verdict(Outcome.UNKNOWN, detail=f"Mitto answered ok under HTTP {reply.status}")
        reference = answer.get("requestId")
        return Verdict(Outcome.PLACED, provider_reference=reference if isinstance(reference, str) else None)

    @classmethod
    def read_event(cls, raw: RawEvent) -> list[Fact]:
        """See "Parameters passed to the startCallback / endCallback". There is no time in them: arrival counts."""
        fields = event_fields(raw)
        kind = fields.get("type", "")
        if kind == "startCallback":
            state, disposition, cause = AttemptState.RINGING, None, None
        elif kind == "endCallback":
            state = AttemptState.ENDED
            disposition, cause = ending(fields.get("state", ""), fields.get("error", ""))
        else:
            raise EventError("the callback's type is neither startCallback nor endCallback")
        duration = seconds(fields.get("duration", ""))
        talked = disposition in (Disposition.ANSWERED, Disposition.MACHINE)
        is_open = disposition in (None, Disposition.UNKNOWN)
        return [
            Fact(
                attempt_id=checked_reference(fields.get("reference", "").removesuffix(REPEATED)),
                state=state,
                disposition=disposition,
                hangup_cause=cause,
                at=raw.received_at,
                duration=duration,
                # "Duration of the call": Mitto counts no other seconds, and bills none of a call not answered.
                billsec=duration if talked else None if is_open else 0.0,
                cost=None,
                is_unheard_of=disposition is Disposition.UNKNOWN,  # no word that it documents is
            )
        ]

    @classmethod
    def dedupe_key(cls, raw: RawEvent) -> str:
        """As of any callback; of repeats that Mitto makes, equal for those that come within `AGAIN` seconds."""
        may_be = REPEATED in raw.query or REPEATED.encode() in raw.body  # most are none: they cost no more
        if may_be and event_fields(raw).get("reference", "").endswith(REPEATED):
            raw = replace(raw, path=f"{raw.path}#{raw.received_at.timestamp() // AGAIN:.0f}")
        return super().dedupe_key(raw)

    @classmethod
    def kept(cls, raw: RawEvent) -> RawEvent:
        """Without `appKey`: our own copy of that key is sealed."""
        return without_app_key(raw)

    @classmethod
    def check_campaign(cls, language: str, has_text: bool, has_media: bool) -> list[str]:
        """The text's language must be one of `LANGUAGES`."""
        problems = super().check_campaign(language, has_text, has_media)
        if has_text and mitto_language(language) is None:
            problems.append(_no_language(language))
        return problems

    @classmethod
    def check_repeats(cls, policy: RepeatPolicy) -> list[str]:
        """The policy must be one that "Launching the application with repeats" has words for."""
        try:
            policy.to_mitto()
        except RepeatPolicyError as error:
            return [str(error)]
        return []

    def check_request(self) -> ProviderRequest:
        """See "Balance check"."""
        return ProviderRequest("GET", "balance", headers=authorization(self.settings))

    def read_check(self, reply: Reply) -> str:
        """See "Balance check"; its example has no `status`, every other answer has one."""
        answer = reply.json_object() or {}
        name = self.config.name
        status = answer.get("status", "ok")
        if status == "invalidAccessKeyError":
            raise ProviderError(
                f"Mitto does not know the access key of {name}; set access_key to the application's."
            )
        if reply.status == 200 and status == "ok" and "balance" in answer:
            return f"Mitto accepts the access key of {name}; the balance is {str(answer['balance'])[:20]}."
        shown = status if status in STATUSES and status != "ok" else "no balance"
        raise ProviderError(
            f"Mitto answered {name} with HTTP {reply.status} and {shown}; check access_key and --base-url."
        )

    def _scenario_data(self, submission: Submission) -> str:
        repeat_variable = self.settings.get("repeat_variable")
        if submission.text:
            variable = self.settings.get("text_variable") or "text"
            # The script is told how often to speak if it can be; else the text says it all again.
            times = 1 if repeat_variable else max(1, submission.repeat_count)
            text = submission.text.strip()
            pause = " " if text.endswith((".", "!", "?")) else ". "
            value = pause.join([text] * times)
        elif submission.media:
            variable, value = self.settings.get("media_variable") or "file", submission.media
        else:
            raise RefusedError(Refusal.BAD_REQUEST, "the call has neither a text nor a recorded file")
        pairs = {variable: value}
        if repeat_variable:
            pairs[repeat_variable] = str(max(1, submission.repeat_count))
        return "&".join(f"{name}={scenario_value(value)}" for name, value in pairs.items())


def by_word(status: str) -> Verdict:
    """What one of `STATUSES` says. See "Response format"."""
    outcome, refusal = STATUSES[status]
    return Verdict(outcome, refusal=refusal, detail=f"Mitto answered {status}", is_documented=True)


def without_app_key(raw: RawEvent) -> RawEvent:
    """A callback with its `appKey` empty, in the URL, a form or a JSON object."""
    if "appKey" not in raw.query and b"appKey" not in raw.body:
        return raw
    body = raw.body.decode("latin-1")  # each byte a letter, whatever it is
    return replace(
        raw, query=_APP_KEY.sub(r"\1\2", raw.query), body=_APP_KEY.sub(r"\1\2", body).encode("latin-1")
    )


def scenario_value(value: str) -> str:
    """A value of `scenarioData`, "a set of parameter=value pairs separated by &": percent-encoded, so that no
    character of a message can end it or begin another parameter. Line breaks become spaces."""
    return quote(" ".join(re.sub(r"[\x00-\x1f\x7f]", " ", value).split()), safe="")


def mitto_language(language: str) -> str | None:
    """Mitto's code for one of ours, in any case, with `_` or `-`; None when Mitto does not offer it."""
    wanted = language.strip().replace("_", "-").lower()
    return _LANGUAGE_BY_LOWER.get(wanted) or LANGUAGE_ALIASES.get(wanted)


def voice_settings(submission: Submission) -> dict[str, Any]:
    """`language`, `gender`, `volume` and `rate` for a text; a word that we do not know is left to Mitto.

    Raises RefusedError for a language that Mitto does not offer: it would be read out as if it were another.
    Mitto has no pitch.
    """
    language = mitto_language(submission.language)
    if language is None:
        raise RefusedError(Refusal.BAD_REQUEST, _no_language(submission.language))
    chosen: dict[str, Any] = {
        "language": language,
        "gender": GENDERS.get(_word(submission.voice)),
        "volume": VOLUMES.get(_word(submission.volume)),
        "rate": RATES.get(_word(submission.rate)),
    }
    return {name: value for name, value in chosen.items() if value is not None}


def ending(state: str, error: str) -> Ending:
    """How an attempt ended, from `state` and `error` of an endCallback.

    16 and 19 mean one thing among the errors of endCallback and another in Q.850. The state tells which list is
    meant: under STATE_OK nothing went wrong, so 16 is a normal end; under STATE_ERR 16 is "did not pick up".
    A state or code outside the tables is UNKNOWN.
    """
    state, error = WORDS.get(state, state), WORDS.get(error, error)
    try:
        code = int(error) if len(error) <= 6 else -1
    except ValueError:
        code = -1
    if state == STATE_OK:
        if error == "":
            return Disposition.ANSWERED, None
        return NETWORK_ERRORS.get(code) or SCRIPT_ERRORS.get(code) or (Disposition.UNKNOWN, None)
    if state == STATE_ERR:
        found = END_ERRORS.get(code) or SCRIPT_ERRORS.get(code) or NETWORK_ERRORS.get(code)
        if found is None:
            return Disposition.UNKNOWN, None
        if found[0] is Disposition.ANSWERED:
            # 0 and 31 name no error, but the state says that there was one.
            return Disposition.FAILED, None
        return found
    return Disposition.UNKNOWN, None


def _repeats(policy: RepeatPolicy) -> dict[str, int]:
    try:
        return policy.to_mitto()
    except RepeatPolicyError as error:
        raise RefusedError(Refusal.BAD_REQUEST, str(error)) from None


def _word(value: str) -> str:
    """The campaign API's reference breaks some words (`x- soft`); so do people."""
    return "".join(value.split()).lower()


def _no_language(language: str) -> str:
    return f"Mitto does not speak {language[:20]!r}; choose one of {', '.join(sorted(LANGUAGES))}."
