"""The demonstration itself: everything an upstream app does, over the first-generation HTTP API."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import httpx
import sqlalchemy as sa
from sqlalchemy import Engine

from dialer import accounts
from dialer.calls.window import CallingWindow
from dialer.cli.campaign_watch import LOOK_EVERY, watch_until_end
from dialer.cli.campaign_watch import progress as progress_of
from dialer.cli.database import database
from dialer.cli.errors import CommandError
from dialer.cli.output import remark
from dialer.client import Client
from dialer.db import reading, writing
from dialer.demo.people import BAD_ROWS, Person, contacts_csv, dnd_csv, expected_end, on_dnd, people
from dialer.demo.stack import Ports
from dialer.providers import setup
from dialer.secrets import SecretBox, new_auth_key
from dialer.settings import get_settings
from dialer.store import providers
from dialer.store.tables import attempt, call

#: Played providers ring at any hour.
ALL_DAY = CallingWindow.parse({"start": "00:00", "end": "24:00"}).to_json()
CALLS_PER_MINUTE = 2400
CAMPAIGN_WITHIN = 150.0  # seconds; far more than it needs
#: Seconds for which late callbacks are waited for: on a busy machine some come when their call was given up already.
LATE_WITHIN = 60.0
ANNOUNCEMENT = "Hello {first_name}, your payment of {amount} dollars is due on {due}."
CALLER_ID = "12025550100"
#: Seconds and times, as an upstream app writes them.
RETRIES = {"max_retries": "2", "retry_time": "2", "retry_on_statuses": "NOANSWER,BUSY,CONGESTION"}

#: Names of get_campaign_cdr_statistics, and the dial status each counts.
STATISTICS = {
    "answer_calls": "ANSWER",
    "noanswer_calls": "NOANSWER",
    "busy_calls": "BUSY",
    "chanunavail_calls": "CHANUNAVAIL",
    "congestion_calls": "CONGESTION",
    "cancel_calls": "CANCEL",
    "dnd_calls": "DND",
}


class Upstream:
    """An app that knows nothing of us but the first-generation API."""

    def __init__(self, base_url: str, account: str, auth: str) -> None:
        self._client = httpx.Client(
            base_url=f"{base_url}/api",
            headers={"account": account, "auth": auth},
            timeout=30,
            trust_env=False,
        )

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The `response` object of a call that must succeed."""
        return self._checked(path, self._client.post(path, json=body))

    def _checked(self, path: str, answer: httpx.Response) -> dict[str, Any]:
        response: dict[str, Any] = answer.json()["response"] if answer.is_success else {}
        if response.get("success") != "true":
            raise CommandError(
                f"The API refused /api/{path} with HTTP {answer.status_code}: {answer.text[:300]}"
            )
        return response

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()


def run(number: int, ports: Ports) -> dict[str, Any]:
    """The whole story, on an installation that is up: what the summary needs."""
    base, sandbox = f"http://127.0.0.1:{ports.api}", f"http://127.0.0.1:{ports.sandbox}"
    persons = people(number)
    suppressed = on_dnd(persons)
    with database() as engine:
        account_id, auth = _prepare(engine, sandbox)
        with Upstream(base, account_id, auth) as upstream, Client(base, account_id, auth) as api:
            campaign_id, rejected = _launch(upstream, persons, suppressed)
            campaign = api.campaigns.get(campaign_id)
            watch_until_end(lambda: progress_of(api, campaign), deadline=time.monotonic() + CAMPAIGN_WITHIN)
            otherwise = settled(lambda: _otherwise(_ends(engine, campaign_id), suppressed))
            progress = progress_of(api, campaign)
            statistics = upstream.post("get_campaign_cdr_statistics", campaign_id=campaign_id)["result"]
        requests = httpx.get(f"{sandbox}/sandbox/log", timeout=30, trust_env=False).json()["lines"]
        attempts, ends = _attempts(engine, campaign_id), _ends(engine, campaign_id)
    cdrs = {status: int(statistics[name][0]) for name, status in STATISTICS.items()}
    return {
        "account_id": account_id,
        "campaign_id": campaign_id,
        "contacts": progress["contacts"],
        "rejected": rejected,
        "attempts": sum(attempts.values()),
        "requests_at_provider": len(requests),
        "ends": progress["ended"],
        "cdrs": cdrs,
        "checks": _checks(
            expected={person.number for person in persons},
            suppressed={person.number for person in suppressed},
            rejected=rejected,
            progress=progress,
            cdrs=cdrs,
            total=int(statistics["total_calls"][0]),
            attempts=attempts,
            ends=ends,
            otherwise=otherwise,
            requests=requests,
        ),
        "urls": {
            "API docs": f"{base}/docs",
            "Flower": f"http://127.0.0.1:{ports.flower}",
            "Sandbox": sandbox,
        },
    }


def _launch(
    upstream: Upstream, persons: list[Person], suppressed: list[Person]
) -> tuple[str, list[dict[str, Any]]]:
    """Lists, imports, campaign: the campaign's id, and the rows that were refused with the reason of each."""
    uploads = get_settings().home / "uploads"
    (uploads / "customers.csv").write_text(contacts_csv(persons), encoding="utf-8")
    (uploads / "do_not_call.csv").write_text(dnd_csv(suppressed), encoding="utf-8")

    list_id = upstream.post("create_campaign_list", list_name="customers")["list_id"]
    imported = upstream.post("import_broadcast_contacts_csv", list_id=list_id, csv_name="customers.csv")
    remark(f"customers.csv: {imported['message']}.")
    rejected: list[dict[str, Any]] = imported.get("rejected", [])
    for row in rejected:
        remark(f"  refused: {row['reason']}")

    dnd_list_id = upstream.post("create_campaign_dnd_list", dnd_list_name="do not call")["dnd_list_id"]
    imported = upstream.post(
        "import_dnd_contacts_csv", dnd_list_id=dnd_list_id, dnd_csv_name="do_not_call.csv"
    )
    remark(f"do_not_call.csv: {imported['message']}.")

    campaign_id: str = upstream.post("create_campaign", **_campaign(list_id, dnd_list_id))["campaign_id"]
    remark(f"Campaign {campaign_id} begins: at most {CALLS_PER_MINUTE} calls per minute.\n")
    return campaign_id, rejected


def _prepare(engine: Engine, sandbox: str) -> tuple[str, str]:
    """What an operator does once: an account, a provider, and our address given to the provider."""
    settings, now = get_settings(), datetime.now(UTC)
    box = SecretBox(settings.secret_keys())
    password = new_auth_key()
    row = setup.new_row(
        name="mitto",
        kind="mitto",
        base_url=f"{sandbox}/mitto",
        settings={"access_key": new_auth_key(), "callback_user": "mitto", "callback_password": password},
        box=box,
        now=now,
    )
    name = f"Demo {now:%Y-%m-%d %H:%M:%S}"
    with writing(engine) as connection:
        account_id, auth = accounts.create(connection, name, now, calling_window=ALL_DAY)
        found = providers.named(connection, row["name"])
        if found is None:
            providers.add(connection, row)
        else:
            # A home that was used before: the sandbox listens elsewhere now.
            changes = {key: row[key] for key in ("base_url", "credentials", "callback_auth_hash")}
            providers.update(connection, found.id, **changes, enabled=True, paused_reason=None)
        provider = providers.named(connection, row["name"])
    assert provider is not None  # noqa: S101 - written a few lines above
    url = setup.webhook_url(settings.public_url, provider)
    httpx.put(
        f"{sandbox}/sandbox/callbacks/mitto",
        json={"url": url, "user": "mitto", "password": password},
        trust_env=False,
    ).raise_for_status()
    return account_id, auth


def _campaign(list_id: str, dnd_list_id: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "list_id": list_id,
        "dnd_list_id": dnd_list_id,
        "campaign_name": "payment reminder",
        "campaign_type": "0",
        "campaign_caller_id": CALLER_ID,
        "dynamic_announcement": "1",
        "recorded_filename": "",
        "announcement_text": ANNOUNCEMENT,
        "campaign_start_date": f"{now:%Y-%m-%d %H:%M:%S}",
        "campaign_end_date": f"{now + timedelta(days=1):%Y-%m-%d %H:%M:%S}",
        "time_zone": "UTC",
        "repeat": "1",
        **RETRIES,
        "calls_per_minute": str(CALLS_PER_MINUTE),
    }


def _attempts(engine: Engine, campaign_id: str) -> Counter[str]:
    """How many attempts were made for each number."""
    statement = sa.select(attempt.c.e164).where(attempt.c.campaign_id == campaign_id)
    with reading(engine) as connection:
        return Counter(connection.execute(statement).scalars())


def _ends(engine: Engine, campaign_id: str) -> list[tuple[str, str]]:
    """Number and state of every call."""
    statement = sa.select(call.c.e164, call.c.state).where(call.c.campaign_id == campaign_id)
    with reading(engine) as connection:
        return [(number, state) for number, state in connection.execute(statement)]


def _otherwise(ends: list[tuple[str, str]], suppressed: list[Person]) -> list[str]:
    """Whose call did not end as the sandbox played it."""
    unrung = {person.number for person in suppressed}
    return [number for number, state in ends if number not in unrung and state != expected_end(number)]


def settled(otherwise: Callable[[], list[str]]) -> list[str]:
    """What is left of `otherwise` when it has become nothing, or late callbacks have had their time."""
    deadline = time.monotonic() + LATE_WITHIN
    while (left := otherwise()) and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY)
    return left


def _checks(
    *,
    expected: set[str],
    suppressed: set[str],
    rejected: list[dict[str, Any]],
    progress: Mapping[str, Any],
    cdrs: Mapping[str, int],
    total: int,
    attempts: Counter[str],
    ends: list[tuple[str, str]],
    otherwise: list[str],
    requests: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    """What must be true whatever happened; the sandbox's log is the witness."""
    seen = Counter(f"+{str(line['to']).lstrip('+')}" for line in requests)
    references = Counter(line["reference"] for line in requests)
    ended = sum(progress["ended"].values())
    results = [
        (
            f"every row that cannot be used was refused with a reason ({len(rejected)})",
            len(rejected) == len(BAD_ROWS) + 1 and all(row["reason"] for row in rejected),
        ),
        (f"every one of {len(expected)} people is in the list once", progress["contacts"] == len(expected)),
        ("every one of them was taken once", sorted(number for number, _ in ends) == sorted(expected)),
        ("every one of them has exactly one end", ended == len(expected) and not progress["open"]),
        (
            f"nobody of the {len(suppressed)} on the DND list was dialled",
            not suppressed & (set(seen) | set(attempts)),
        ),
        ("each of them has a CDR that says DND", cdrs["DND"] == len(suppressed)),
        ("nobody was dialled more often than there are attempts", all(seen[n] <= attempts[n] for n in seen)),
        ("no attempt reached the provider twice", all(times == 1 for times in references.values())),
        (f"every call ended as the sandbox played it ({len(otherwise)} did not)", not otherwise),
        ("the API's statistics add up to its total", sum(cdrs.values()) == total),
    ]
    return [{"check": sentence, "ok": bool(ok)} for sentence, ok in results]
