"""Everything that each kind of provider can, through one installation: asked for by an upstream app, carried by the
kind's adapter to the sandbox, ended by what the provider tells, and found in the CDRs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import secrecy
from contract import case_of
from people_of_nobody import numbers
from service import CALLER_ID, Service, installation, wait_for

from dialer.providers.contract import Capability
from dialer.providers.kinds import adapter_class, adapter_kinds

CODE = "8264"
#: Endings of numbers whose calls the sandbox has answered.
ANSWERED = ("50", "51", "52", "53", "54")
CHANNELS = {
    Capability.VOICE_OTP: "voice",
    Capability.FLASH_OTP: "flash",
    Capability.SMS_OTP: "sms",
}
FLOW = {
    "first": "main",
    "menus": {
        "main": {
            "prompts": [{"text": "Press 1 if you agree."}],
            "keys": {"1": {"does": "notify"}, "9": {"does": "opt_out"}},
        }
    },
}
CAN = {
    "campaign": {Capability.ANNOUNCE_TEXT},
    "survey": {Capability.IVR},
    "otp": set(CHANNELS),
    "click to call": {Capability.CLICK_TO_CALL},
}
EVERY = [
    (kind, what)
    for kind in adapter_kinds()
    for what, any_of in CAN.items()
    if adapter_class(kind).capabilities & any_of
]


@dataclass
class Tenant:
    """An account that one kind of provider alone carries calls of, and what it has asked for."""

    service: Service
    kind: str
    people: list[str]
    client: httpx.Client
    asked: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The `response` of a call that must succeed."""
        answer = self.client.post(f"/api/{path}", json=body)
        assert answer.status_code == 200, f"{self.kind}: {answer.text}"
        response: dict[str, Any] = answer.json()["response"]
        return response

    def cdrs(self, what: str) -> list[dict[str, Any]]:
        """What is told of something that was asked for."""
        asked = self.asked[what]
        if what in ("campaign", "survey"):
            answer = self.client.post("/api/get_cdr_by_campaign_id", json={"campaign_id": asked})
        else:
            answer = self.client.post("/api/get_cdr_by_request_id", json={"request_id": asked})
        found: list[dict[str, Any]] = answer.json()["response"]["result"] if answer.status_code == 200 else []
        return found


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An installation that is up, and the sandbox."""
    with installation(tmp_path_factory.mktemp("kinds"), DIALER_RECONCILE_AFTER="3") as service:
        # MTT tells of keys at https addresses only, and is given addresses without their scheme.
        service.env["DIALER_PUBLIC_URL"] = service.api_url.replace("http:", "https:")
        service.start_sandbox()
        service.start_up()
        yield service


@pytest.fixture(scope="module")
def tenants(service: Service) -> Iterator[dict[str, Tenant]]:
    """A tenant for each kind, who has asked for all that its provider can."""
    made = {kind: settle_in(service, kind, place) for place, kind in enumerate(adapter_kinds())}
    for kind, what in EVERY:
        ask(made[kind], what)
    yield made
    for tenant in made.values():
        tenant.client.close()


def settle_in(service: Service, kind: str, place: int) -> Tenant:
    """An account, a template, and a provider that is the account's own."""
    account = service.cli("account", "create", kind, "--calling-window=00:00-24:00", "--json")
    service.cli("template", "add", kind, "Code {otp}", f"--id=AN{place}", "--json")
    case = case_of(kind)
    settings = [f"--set={name}={value}" for name, value in case.settings.items()]
    provider = service.cli(
        "provider", "add", kind, f"--kind={kind}", f"--base-url={service.sandbox_url}/{kind}",
        f"--account={kind}", *settings, "--json",
    )  # fmt: skip
    hook = provider["webhook_url"].replace("https:", "http:")
    if case.stories:  # else it calls nobody back
        set_at = f"{service.sandbox_url}/sandbox/callbacks/{kind}"
        httpx.put(set_at, json={"url": hook}, trust_env=False).raise_for_status()
    people = numbers(5, first=5 * place, endings=ANSWERED)
    open_settings = adapter_class(kind).open_settings
    credentials = {value for name, value in case.settings.items() if name not in open_settings}
    service.secrets |= {account["auth"], hook.rsplit("/", 1)[1], *credentials}
    service.secrets |= {number.removeprefix("+") for number in people}
    headers = {"account": account["id"], "auth": account["auth"]}
    client = httpx.Client(base_url=service.api_url, headers=headers, timeout=30, trust_env=False)
    return Tenant(service, kind, people, client)


def ask(tenant: Tenant, what: str) -> None:
    """Ask for it, as an app does."""
    if what == "otp":
        can = adapter_class(tenant.kind).capabilities
        channel = next(channel for capability, channel in CHANNELS.items() if capability in can)
        template = f"AN{adapter_kinds().index(tenant.kind)}"
        response = tenant.post(
            "outbound_call", customer_number=tenant.people[0], otp=CODE, caller_id=CALLER_ID,
            announce_template_id=template, channel=channel,
        )  # fmt: skip
        tenant.asked[what] = response["request_id"]
    elif what == "click to call":
        response = tenant.post(
            "click2call", agent_number=tenant.people[1], destination_number=tenant.people[2],
            caller_id=CALLER_ID, recording_option="off",
        )  # fmt: skip
        tenant.asked[what] = response["request_id"]
    else:
        tenant.asked[what] = start_campaign(tenant, what)


def start_campaign(tenant: Tenant, what: str) -> str:
    """A campaign, or a survey, for two people; its id."""
    list_id = tenant.post("create_campaign_list", list_name=what)["list_id"]
    contacts = [{"contact_number": number, "contact_name": "Ann"} for number in tenant.people[3:]]
    tenant.post("add_contact_to_list", list_id=list_id, contacts=contacts)
    body = {**tenant.service.campaign_body(list_id, what), "announcement_text": "Hello {contact_name}."}
    if what == "survey":
        body |= {"campaign_type": "1", "flow": FLOW, "announcement_text": "", "dynamic_announcement": ""}
    campaign_id: str = tenant.post("create_campaign", **body)["campaign_id"]
    return campaign_id


@pytest.mark.parametrize(("kind", "what"), EVERY)
def test_what_a_kind_can_is_asked_for_carried_and_told(
    tenants: dict[str, Tenant], kind: str, what: str
) -> None:
    tenant = tenants[kind]
    people = 2 if what in ("campaign", "survey") else 1
    found = wait_for(
        f"the CDRs of a {what} through {kind}",
        lambda: cdrs if len(cdrs := tenant.cdrs(what)) == people else None,
    )
    assert {row["dial_status"] for row in found} == {"ANSWER"}


def test_every_call_reached_the_provider_once_and_no_other(
    tenants: dict[str, Tenant], service: Service
) -> None:
    for kind, what in EVERY:
        wait_for(f"the CDRs of a {what}", lambda k=kind, w=what: tenants[k].cdrs(w))  # type: ignore[misc]
    # Whom somebody was connected with is no call of its own.
    placed = [line for line in service.requests() if line["accepted"] and line["status"] != "connected with"]
    taken = [(line["provider"], line["to"].removeprefix("+")) for line in placed]
    assert len(taken) == sum(2 if what in ("campaign", "survey") else 1 for _, what in EVERY)
    for provider, to in taken:
        assert f"+{to}" in tenants[provider].people


def test_nobody_is_left_out() -> None:
    """A kind that can none of it has nothing to show here; there is none."""
    assert {kind for kind, _ in EVERY} == set(adapter_kinds())
    assert CODE in secrecy.CODES
