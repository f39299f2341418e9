"""iotcomms: announcements, one-time passwords, calls that ask for keys, and connecting two people
(`iotcomms-mediaservice-api.md`).

One POST, placeivrcall, places a call and says nothing of what is to be heard: that is asked when somebody has picked
up (`iotcomms_live`). The reply holds no reference of theirs, so ours travels as `sessionReferenceId`. Callbacks come
below the address that iotcomms is given by hand, each under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from dialer.providers.base import Adapter, refusal_by_status
from dialer.providers.contract import (
    Capability,
    Fact,
    Outcome,
    ProviderConfig,
    ProviderError,
    ProviderRequest,
    ProviderSettingError,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
    Verdict,
)
from dialer.providers.iotcomms_control import control, parties, read_handles
from dialer.providers.iotcomms_events import callback, read_alarm, read_event
from dialer.providers.iotcomms_live import read_question, sip_uri, text_in, write_answer
from dialer.providers.iotcomms_methods import METHODS, authorization
from dialer.providers.iotcomms_reference import Reference
from dialer.providers.iotcomms_settings import SHOWN, call_settings
from dialer.providers.iotcomms_token import is_ours, is_private_key, is_public_key
from dialer.providers.live import Answer, Order, Question, Response
from dialer.providers.methods import Value

_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,253}")
_HOSTS = re.compile(rf"{_HOST.pattern}(\s*,\s*{_HOST.pattern}){{0,99}}")
_USER = re.compile(r"\+?[A-Za-z0-9._-]{1,64}")


class IotcommsAdapter(Adapter):
    """One domain of an iotcomms account."""

    kind = "iotcomms"
    default_base_url = "https://api.prod-eu-north-1.iotcomms.io/mediaservice"
    required_settings: ClassVar[Mapping[str, str]] = {
        "domain": "the account's domain, as `customer.prod-eu-north-1.iotcomms.io`",
        "sip_host": "host of the SIP addresses that numbers are called at",
    }
    optional_settings: ClassVar[Mapping[str, str]] = {
        "private_key": "RSA key (PEM) that requests are signed with; this or token is needed",
        "token": "token that requests carry as it is, instead of one that private_key signs",
        "sip_from": "outgoing number or user of calls without a caller id of their own",
        "mediaservice_id": "the mediaservice that calls belong to",
        "callback_public_key": "RSA key or certificate (PEM) that callbacks must be signed with the other half of",
        "max_ring_time": "seconds to ring for at most",
        "display_name": "name that is shown beside the outgoing number",
        "caller_privacy": "yes hides the outgoing number",
        "sip_diversion": "number of the SIP Diversion header",
        "sip_diversion_parameters": "parameters of that header, a JSON object",
        "x_headers": "X- headers of the SIP request, a JSON object of texts or lists of texts",
        "p_headers": "P- headers of the SIP request, a JSON object of texts or lists of texts",
        "contact_parameters": "parameters of the Contact header's address, a JSON object",
        "contact_user_parameters": "parameters of that address's user part, a JSON object",
        "background_prompt": "prompt file that is played while keys are waited for, and to whoever waits",
        "site_hosts": "hosts of hybrid sites, with commas between them, where requests about calls there may go",
        "extension_host": "host of the SIP addresses that extensions are called at; without it only numbers are",
    }
    open_settings = frozenset(
        {
            "sip_host",
            "extension_host",
            "mediaservice_id",
            "callback_public_key",
            "sip_from",
            "background_prompt",
            *SHOWN,
        }
    )
    capabilities = frozenset(
        {
            Capability.ANNOUNCE_TEXT,
            Capability.ANNOUNCE_FILE,
            Capability.VOICE_OTP,
            Capability.CLICK_TO_CALL,
            Capability.IVR,
            Capability.RECORDING,
            Capability.LIVE_CONTROL,
            Capability.INBOUND,
            Capability.TALK_PROMPTS,
            Capability.CONNECT_IN_TURN,
        }
    )
    final_event_within = timedelta(minutes=60)  # two who are connected may talk for long
    methods = METHODS

    def __init__(self, config: ProviderConfig) -> None:
        """Raises ProviderSettingError when the configuration cannot work."""
        super().__init__(config)
        _check_settings(config.name, self.settings)
        self._call_settings = call_settings(config.name, self.settings)

    def build_request(self, submission: Submission) -> ProviderRequest:
        """See "/{domain}/placeivrcall". What is to be heard, and whom to connect with, is asked later."""
        said = submission.text or submission.media
        if not (said or submission.connect_to or submission.flow):
            raise RefusedError(
                Refusal.BAD_REQUEST, "the call has nothing to say and nobody to be connected with"
            )
        if said and submission.record:
            raise RefusedError(
                Refusal.BAD_REQUEST, "iotcomms records two who are connected, and an announcement is not"
            )
        body: dict[str, Any] = {
            "destAddr": sip_uri(submission.to, self.settings),
            "sessionReferenceId": Reference(submission.attempt_id).to_json(),
            **self._call_settings,
        }
        if sip_from := submission.caller_id or self.settings.get("sip_from", "").strip():
            body["sipFrom"] = sip_from
        return ProviderRequest(
            "POST",
            f"{self.settings['domain'].strip()}/placeivrcall",
            headers=authorization(self.settings, datetime.now(UTC)),
            json=body,
        )

    def read_reply(self, reply: Reply) -> Verdict:
        """See "/{domain}/placeivrcall", "Response Schema": `success`, and nothing that says what was wrong."""
        answer = reply.json_object() or {}
        success = answer.get("success")
        if success is True:
            if reply.status >= 400 or answer.get("error"):
                return Verdict(
                    Outcome.UNKNOWN,
                    detail=f"iotcomms answered success with an error, or under HTTP {reply.status}",
                )
            return Verdict(Outcome.PLACED)
        if success is False and reply.status < 300:
            told = text_in(answer, "reason") or text_in(answer, "error") or "nothing more"
            return Verdict(
                Outcome.REFUSED,
                refusal=Refusal.BAD_REQUEST,
                detail=f"iotcomms answered no success, and {told}",
            )
        if reply.status >= 400:
            return Verdict(
                Outcome.REFUSED, refusal=refusal_by_status(reply.status), detail=f"HTTP {reply.status}"
            )
        return Verdict(
            Outcome.UNKNOWN, detail=f"HTTP {reply.status} without a success that iotcomms documents"
        )

    @classmethod
    def read_event(cls, raw: RawEvent) -> list[Fact]:
        """See the callbacks' sections."""
        return read_event(raw)

    @classmethod
    def read_alarm(cls, raw: RawEvent) -> str:
        """See "/<domain_configured>" and "/recordingReady"."""
        return read_alarm(raw)

    @classmethod
    def read_question(cls, raw: RawEvent) -> Question | None:
        """See "/newCall", "/getIvrCommand" and "/callEvent"."""
        name, body = callback(raw)
        return read_question(name, body)

    @classmethod
    def check_inbound(cls, answer: Answer) -> list[str]:
        """See "/newCall", `destAddr`: the document does not say what several at once are."""
        problems = super().check_inbound(answer)
        connect = answer.connect
        if connect is not None and len(connect.numbers) > 1 and not connect.one_by_one:
            problems.append(
                "iotcomms rings numbers one after the other: choose CONNECT, not CONNECT_ALL (leave out --at-once)."
            )
        return problems

    @classmethod
    def write_answer(cls, question: Question, answer: Answer, settings: Mapping[str, str]) -> Response:
        """See the same, "Response Schema"."""
        return write_answer(question, answer, settings)

    @classmethod
    def read_handles(cls, raw: RawEvent) -> Mapping[str, str]:
        """See "/callAnswered", "/getIvrCommand" and "/callEvent": what the line is controlled by."""
        name, body = callback(raw)
        return read_handles(name, body)

    def control(self, order: Order) -> tuple[str, dict[str, Value]]:
        """See "/{domain}/hangupparticipant", "/{domain}/startrecording", "/{domain}/interruptivrcommand" and
        "/{domain}/splitconnection"."""
        return control(order, self.settings)

    def parties(self, order: Order) -> Mapping[str, str]:
        """Of two who are parted by "/{domain}/splitconnection"."""
        return parties(order)

    @classmethod
    def is_signed(cls, raw: RawEvent, open_settings: Mapping[str, str]) -> bool:
        """A token in the `Authorization` header, when `callback_public_key` is set. The document does not say how
        callbacks are signed; it is read as ours are made."""
        key = open_settings.get("callback_public_key", "").strip()
        return not key or is_ours(raw.authorization, key, raw.received_at)

    def check_request(self) -> ProviderRequest:
        """See "/{domain}/promptfile"."""
        method = self.methods["promptfile_list"]
        return method.build(self, {})

    def read_check(self, reply: Reply) -> str:
        """See the same."""
        name = self.config.name
        if reply.status in (401, 403):
            raise ProviderError(
                f"iotcomms does not accept what signs the requests of {name} (HTTP {reply.status}); "
                "check domain, and private_key or token."
            )
        try:
            self.methods["promptfile_list"].read(reply)
        except ProviderError:
            raise ProviderError(
                f"iotcomms answered {name} with HTTP {reply.status} and no list of prompt files; "
                "check domain and --base-url."
            ) from None
        return f"iotcomms accepts the requests of {name}."


def _check_settings(name: str, settings: Mapping[str, str]) -> None:
    key, token = (settings.get(each, "").strip() for each in ("private_key", "token"))
    if bool(key) == bool(token):
        raise ProviderSettingError(
            f"Provider {name} needs one of private_key and token: give --set private_key=@FILE, or --set token=…"
        )
    if key and not is_private_key(key):
        raise ProviderSettingError(
            f"The private_key of provider {name} must be an RSA key of 2048 bits or more in PEM, without a password."
        )
    public = settings.get("callback_public_key", "").strip()
    if public and not is_public_key(public):
        raise ProviderSettingError(
            f"The callback_public_key of provider {name} must be an RSA public key or a certificate in PEM."
        )
    for each, pattern in (
        ("domain", _HOST), ("sip_host", _HOST), ("extension_host", _HOST), ("sip_from", _USER), ("site_hosts", _HOSTS),
    ):  # fmt: skip
        given = settings.get(each, "").strip()
        if given and not pattern.fullmatch(given):
            raise ProviderSettingError(
                f"The {each} of provider {name} holds what cannot stand in an address: write it without "
                "https://, sip: or a path."
            )
