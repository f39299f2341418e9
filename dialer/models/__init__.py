"""The tables, one noun per file. `docs/glossary.md` says what each word means."""

from sqlmodel import SQLModel

from dialer.models.account import Account
from dialer.models.announce_template import AnnounceTemplate, TemplateState
from dialer.models.attempt import Attempt
from dialer.models.audit import AuditEntry
from dialer.models.call import Call
from dialer.models.campaign import Campaign, CampaignCount, CampaignDndList
from dialer.models.cdr import Cdr
from dialer.models.cdr_poll import CdrPoll
from dialer.models.contact import Contact, ContactList, ListField
from dialer.models.dnd import DndList, DndNumber
from dialer.models.dnd_mirror import DndMirror, DndMirrorRule, RuleState
from dialer.models.event import Event, EventState
from dialer.models.history import History
from dialer.models.idempotency import IdempotencyKey
from dialer.models.imports import CheckedNumber, Import, ImportKind, ImportState, RejectedRow
from dialer.models.inbound import InboundAction, InboundCall, InboundRule
from dialer.models.key import ApiKey
from dialer.models.message import Message
from dialer.models.meter import Meter
from dialer.models.provider import Provider
from dialer.models.unknown_word import UnknownWord
from dialer.models.verification import (
    Verification,
    VerificationConversion,
    VerificationRules,
    VerificationSend,
)
from dialer.models.webhook import DeliveryState, WebhookDelivery, WebhookEndpoint, WebhookEvent

__all__ = [
    "Account",
    "AnnounceTemplate",
    "ApiKey",
    "Attempt",
    "AuditEntry",
    "Call",
    "Campaign",
    "CampaignCount",
    "CampaignDndList",
    "Cdr",
    "CdrPoll",
    "CheckedNumber",
    "Contact",
    "ContactList",
    "DeliveryState",
    "DndList",
    "DndMirror",
    "DndMirrorRule",
    "DndNumber",
    "Event",
    "EventState",
    "History",
    "IdempotencyKey",
    "Import",
    "ImportKind",
    "ImportState",
    "InboundAction",
    "InboundCall",
    "InboundRule",
    "ListField",
    "Message",
    "Meter",
    "Provider",
    "RejectedRow",
    "RuleState",
    "TemplateState",
    "UnknownWord",
    "Verification",
    "VerificationConversion",
    "VerificationRules",
    "VerificationSend",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "metadata",
]

metadata = SQLModel.metadata
