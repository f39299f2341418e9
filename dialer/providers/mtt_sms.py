"""MTT's text messages: one-time passwords by SMS through msapi.mtt.ru (`mtt-telecom-api.md`, "Точка подключения:
https://msapi.mtt.ru:443/").

`POST …/messages` creates a message and answers with a `uri` whose last part is the message's id. Our reference travels
as `tag`, but no callback or list of the reference gives it back, so callbacks are matched by the message's id, and
messages are looked up by it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar
from urllib.parse import urlencode

from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter, refused_by_status
from dialer.providers.contract import (
    Asked,
    Capability,
    EventError,
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
    TextMessage,
    Verdict,
    json_object,
)
from dialer.providers.mtt import event_parameters
from dialer.providers.mtt_sms_methods import METHODS, authorization, read_message, request_id, resource
from dialer.providers.reading import checked_reference, digits

CREATED = 201  # `status_code` of "Successfull"
INVALID = 400  # `status_code` of "Unsuccessful", with `error` and `request_id`

#: "Event уведомления", examples of an outgoing message: every `status`, with what it says. None: nothing that the reply
#: to the submit has not said. The reference has no word for a message that cannot be delivered.
STATUSES: Mapping[str, tuple[AttemptState, Disposition | None] | None] = {
    "queued": None,
    "prebilling": None,
    "sent": (AttemptState.RINGING, None),  # on its way to the telephone
    "delivered": (AttemptState.ENDED, Disposition.ANSWERED),  # the person has it
}

OUTBOUND, INBOUND = "outbound", "inbound"  # `direction`


class MttSmsAdapter(Adapter):
    """The text messages of one account at MTT."""

    kind = "mtt-sms"
    default_base_url = "https://msapi.mtt.ru"
    required_settings: ClassVar[Mapping[str, str]] = {
        "account_sid": "the account's identifier",
        "token": "the account's token",
        "sender": "the account's number that messages come from",
    }
    optional_settings: ClassVar[Mapping[str, str]] = {}
    capabilities = frozenset({Capability.SMS_OTP})
    final_event_within = timedelta(minutes=15)
    #: What cannot be delivered has no status: until it is settled it takes up one of `max_concurrent`, and no password
    #: is waited for as long as a call's end is.
    asked_for = timedelta(minutes=15)
    methods = METHODS

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        if not re.fullmatch(r"[A-Za-z0-9._-]+", self.settings["account_sid"].strip()):
            # A colon would end the user name of Basic authorization.
            raise ProviderSettingError(
                f"account_sid of provider {config.name} can have letters, digits, dots and dashes only."
            )
        self._sender = digits(self.settings["sender"])
        if (
            not re.fullmatch(r"\+?[0-9 ().-]+", self.settings["sender"].strip())
            or not 3 <= len(self._sender) <= 15
        ):
            raise ProviderSettingError(
                f"sender of provider {config.name} must be one of the account's numbers, such as 79587625004."
            )

    def build_request(self, submission: Submission) -> ProviderRequest:
        """See "Для отправки сообщения"."""
        text = (submission.text or "").strip()
        if not text:
            raise RefusedError(Refusal.BAD_REQUEST, "the message has no text")
        body = {"from": self._sender, "to": digits(submission.to), "text": text, "tag": submission.attempt_id}
        return ProviderRequest(
            "POST", resource(self.settings, "messages"), headers=authorization(self.settings), json=body
        )

    def read_reply(self, reply: Reply) -> Verdict:
        """See "Для отправки сообщения", "Response". `status_code` in the body counts, under whichever HTTP status."""
        answer = reply.json_object() or {}
        code = answer.get("status_code")
        reference = _message_id(answer.get("uri"))
        if code == CREATED or reference is not None:
            if reply.status < 300 and code == CREATED and reference is not None:
                return Verdict(Outcome.PLACED, provider_reference=reference)
            return Verdict(
                Outcome.UNKNOWN, detail=f"HTTP {reply.status}: half a success, which MTT does not document"
            )
        if code == INVALID and "error" in answer:
            # The error's own words are left out: they may repeat the message.
            named = request_id(answer.get("request_id"))
            return Verdict(
                Outcome.REFUSED, refusal=Refusal.BAD_REQUEST, detail=f"MTT refused the message{named}"
            )
        if reply.status >= 400:
            return refused_by_status(reply, "an error that MTT documents")
        return Verdict(Outcome.UNKNOWN, detail=f"HTTP {reply.status} without an answer that MTT documents")

    @classmethod
    def read_event(cls, raw: RawEvent) -> list[Fact]:
        """See "Event уведомления". There is no time in them: arrival counts. What people write back is no
        event of ours: `read_text_message`."""
        fields = event_parameters(raw)
        direction = fields.get("direction", "")
        if direction == INBOUND:
            return []
        if direction != OUTBOUND:
            raise EventError("the callback's direction is neither outbound nor inbound")
        status = fields.get("status", "")
        if not status:
            raise EventError("the callback holds no status")
        reference = checked_reference(fields.get("message_sid", ""))
        return _facts(status, reference, raw.received_at)

    @classmethod
    def read_text_message(cls, raw: RawEvent) -> TextMessage | None:
        """See "Event уведомления", "Входящая смс": `from` in digits with the country code. Who is shown by a name, or
        by a short number, is nobody who could be dialled."""
        fields = event_parameters(raw)
        sender = fields.get("from", "").strip().removeprefix("+")
        if fields.get("direction") != INBOUND or not re.fullmatch(r"[1-9][0-9]{6,14}", sender):
            return None
        return TextMessage(f"+{sender}", fields.get("text", ""))

    @classmethod
    def kept(cls, raw: RawEvent) -> RawEvent:
        """MTT repeats what was sent, and with it a one-time password: it is stored as the form that MTT's examples
        print, its `text` empty. What people write back is kept."""
        told = json_object(raw.body) or {}
        if isinstance(messages := told.get("messages"), list):  # the reply to a look-up
            plain = [{**one, "text": ""} if isinstance(one, dict) else one for one in messages]
            return replace(raw, body=json.dumps({**told, "messages": plain}).encode())
        fields = event_parameters(raw)
        if not fields.get("text") or fields.get("direction") == INBOUND:
            return raw
        form = urlencode({**fields, "text": ""}).encode()
        return replace(raw, query="", content_type="application/x-www-form-urlencoded", body=form)

    def lookup_request(self, asked: Asked) -> ProviderRequest | None:
        """See "Для получения информации по сообщению": by the message's id alone."""
        if not asked.provider_reference or asked.provider_reference == asked.attempt_id:
            return None
        path = resource(self.settings, "messages", asked.provider_reference)
        return ProviderRequest("GET", path, headers=authorization(self.settings))

    def read_lookup(self, reply: Reply, asked: Asked) -> list[Fact]:
        """See "Для получения информации по сообщению". The reference lists no values of `status`: they are read as
        those of the events. MTT tells when a message was made and not when it came: its end has the submit's time."""
        message, reference = read_message(reply), asked.provider_reference or ""
        status = message.get("status")
        if message.get("message_sid") != reference or not status:
            raise ProviderError(
                f"MTT answered {self.config.name} with another message, or without its status."
            )
        facts = _facts(status, reference, asked.submitted_at)
        return [fact for fact in facts if fact.state is AttemptState.ENDED]

    @classmethod
    def check_campaign(cls, language: str, has_text: bool, has_media: bool) -> list[str]:
        """No campaign can: its calls are to be heard."""
        return [
            f"A provider of kind {cls.kind} sends one-time passwords as text messages and can announce nothing; "
            "use a provider of another kind."
        ]

    def check_request(self) -> ProviderRequest:
        """See "Для получения номеров аккаунта"."""
        return ProviderRequest(
            "GET", resource(self.settings, "numbers"), headers=authorization(self.settings)
        )

    def read_check(self, reply: Reply) -> str:
        """See "Для получения номеров аккаунта": whether `sender` is among them, unless they are more than a page."""
        answer = reply.json_object() or {}
        name, numbers, total = self.config.name, answer.get("numbers"), answer.get("total")
        if reply.status in (401, 403):
            raise ProviderError(f"MTT does not accept account_sid and token of {name}; set the account's.")
        if reply.status != 200 or not isinstance(numbers, list) or type(total) is not int:
            raise ProviderError(
                f"MTT answered {name} with HTTP {reply.status} and no list of numbers; check account_sid and "
                "--base-url."
            )
        known = {digits(str(one.get("number", ""))) for one in numbers if isinstance(one, dict)}
        if self._sender not in known and total <= len(numbers):
            raise ProviderError(
                f"MTT accepts the token of {name}, but its sender is none of the account's numbers; set one of them."
            )
        return f"MTT accepts account_sid and token of {name}; numbers of the account: {total}."


def _facts(status: str, reference: str, at: datetime) -> list[Fact]:
    """What a `status` says of the message with this id; one that the reference does not show is an UNKNOWN end."""
    told = STATUSES.get(status, (AttemptState.ENDED, Disposition.UNKNOWN))
    if told is None:
        return []
    state, disposition = told
    return [
        Fact(
            attempt_id="",
            provider_reference=reference,
            state=state,
            disposition=disposition,
            hangup_cause=None,
            at=at,
            duration=None,
            billsec=None,
            cost=None,
            is_unheard_of=status not in STATUSES,
        )
    ]


def _message_id(uri: object) -> str | None:
    """The last part of a message's `uri`, as callbacks give it (`message_sid`)."""
    if not isinstance(uri, str):
        return None
    _, messages, message_sid = uri.rpartition("/messages/")
    return message_sid if messages and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", message_sid) else None
