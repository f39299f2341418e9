"""`/v1/webhooks`: webhooks are made, changed, tried, and looked after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from receiver import Receiver, receiving
from upstream import Upstream

from dialer.keys import Scope
from dialer.secrets import SecretBox
from dialer.settings import Settings
from dialer.store import tables as t
from workers.webhooks import Deliverer

HOOK = {"url": "https://app.example.com/hook", "events": ["call.ended", "attempt.ended"]}


@pytest.fixture
def app() -> Iterator[Receiver]:
    """An app on loopback."""
    with receiving() as receiver:
        yield receiver


def deliver(upstream: Upstream) -> None:
    deliverer = Deliverer(
        upstream.engine,
        SecretBox(upstream.settings.secret_keys()),
        allow_private=True,
        needs_https=False,
        clock=lambda _: upstream.clock.now,
    )
    deliverer.ring()
    assert deliverer.wait_idle(30)
    deliverer.close()


def make(upstream: Upstream, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = upstream.got("POST", "/v1/webhooks", HOOK | more, status=201)
    return made


def audited(upstream: Upstream, subject: str) -> list[str]:
    entries = upstream.got("GET", f"/v1/audit?subject={subject}")["data"]
    return [entry["action"] for entry in reversed(entries)]


def test_a_webhook_is_made_and_its_secret_shown_once(upstream: Upstream) -> None:
    made = make(upstream, description="crm")
    assert made["id"].startswith("WH")
    assert made["secret"].startswith("whsec_")
    shown = upstream.got("GET", f"/v1/webhooks/{made['id']}")
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert upstream.got("GET", "/v1/webhooks")["data"] == [shown]
    assert shown["events"] == ["attempt.ended", "call.ended"]
    (row,) = upstream.rows(t.webhook_endpoint.select())
    assert made["secret"] not in str(row)
    assert audited(upstream, made["id"]) == ["webhook.create"]


def test_a_webhook_is_changed_disabled_enabled_and_deleted(upstream: Upstream) -> None:
    webhook = f"/v1/webhooks/{make(upstream)['id']}"
    changed = upstream.got("PATCH", webhook, {"url": "https://b.example.com/", "enabled": False})
    assert (changed["url"], changed["enabled"], changed["events"]) == (
        "https://b.example.com/", False, ["attempt.ended", "call.ended"]
    )  # fmt: skip
    upstream.refused(409, "POST", f"{webhook}/test")
    assert upstream.got("PATCH", webhook, {"enabled": True, "events": ["campaign.ended"]})["enabled"]
    assert upstream.ask("DELETE", webhook).status_code == 204
    upstream.refused(404, "GET", webhook)
    upstream.refused(404, "DELETE", webhook)
    assert audited(upstream, webhook.rsplit("/", 1)[1]) == [
        "webhook.create", "webhook.change", "webhook.change", "webhook.delete"
    ]  # fmt: skip


@pytest.mark.parametrize(("wrong", "word"), [
    ({"url": "http://10.0.0.1/"}, "public address"), ({"url": "nothing"}, "web address"),
    ({"url": "https://app.example.com/\ud800"}, "url"),
    ({"events": []}, "events"), ({"events": ["call.began"]}, "events"), ({"events": ["webhook.test"]}, "events"),
    ({"campaign_ids": []}, "campaign_ids"), ({"campaign_ids": ["CM0000000000"]}, "does not have"),
    ({"campaign_ids": ["\0"]}, "campaign_ids"), ({"description": "a\0b"}, "description"),
    ({"secret": "whsec_mine"}, "secret"),
])  # fmt: skip
def test_what_cannot_be_used_is_refused_by_name(upstream: Upstream, wrong: dict[str, Any], word: str) -> None:
    problem = upstream.refused(422, "POST", "/v1/webhooks", HOOK | wrong)
    assert word in str(problem)
    assert upstream.got("GET", "/v1/webhooks")["data"] == []


def test_nothing_is_changed_to_null(upstream: Upstream) -> None:
    webhook = f"/v1/webhooks/{make(upstream)['id']}"
    for name in ("url", "events", "enabled", "description"):
        assert name in upstream.refused(422, "PATCH", webhook, {name: None})["detail"]
    assert upstream.got("PATCH", webhook, {"campaign_ids": None})["campaign_ids"] is None
    assert upstream.got("PATCH", webhook, {})["url"] == HOOK["url"]


def test_production_wants_https(upstream: Upstream) -> None:
    assert make(upstream, url="http://app.example.com/")["enabled"]
    upstream.settings.__dict__["env"] = "production"  # frozen, and PostgreSQL and the like are no matter here
    problem = upstream.refused(422, "POST", "/v1/webhooks", HOOK | {"url": "http://app.example.com/"})
    assert "https://" in problem["detail"]


def test_another_account_and_other_scopes_see_nothing(upstream: Upstream, app: Receiver) -> None:
    webhook = make(upstream)["id"]
    delivery = upstream.got("POST", f"/v1/webhooks/{webhook}/test", status=202)["id"]
    paths = [
        ("GET", f"/v1/webhooks/{webhook}"), ("PATCH", f"/v1/webhooks/{webhook}"), ("DELETE", f"/v1/webhooks/{webhook}"),
        ("POST", f"/v1/webhooks/{webhook}/rotate-secret"), ("POST", f"/v1/webhooks/{webhook}/test"),
        ("GET", f"/v1/webhooks/{webhook}/deliveries"),
        ("POST", f"/v1/webhooks/{webhook}/replay?since=2026-01-01T00:00:00Z"),
        ("GET", f"/v1/webhooks/deliveries/{delivery}"), ("POST", f"/v1/webhooks/deliveries/{delivery}/replay"),
    ]  # fmt: skip
    key = upstream.key(Scope.READ, Scope.CALL, Scope.CAMPAIGN)
    for method, path in paths:
        body = {} if method == "PATCH" else None
        theirs = upstream.refused(404, method, path, body, other=True)
        unknown = path.replace(webhook, "WH0000000000").replace(delivery, "WD0")
        assert theirs == upstream.refused(404, method, unknown, body)
        upstream.refused(403, method, path, body, key=key)
    assert upstream.got("GET", "/v1/webhooks", other=True)["data"] == []
    assert len(upstream.rows(t.webhook_delivery.select())) == 1


def test_an_account_has_twenty_webhooks_at_most(upstream: Upstream) -> None:
    for _ in range(20):
        make(upstream)
    assert "delete one" in upstream.refused(409, "POST", "/v1/webhooks", HOOK)["detail"]


def test_a_test_message_arrives_and_stands_in_the_log(upstream: Upstream, app: Receiver) -> None:
    made = make_local(upstream, app)
    sent = upstream.got("POST", f"/v1/webhooks/{made['id']}/test", status=202)
    assert (sent["state"], sent["tries"], sent["event"]) == ("PENDING", 0, "webhook.test")
    assert upstream.doorbell.webhooks == 1
    deliver(upstream)
    (message,) = app.came
    told = message.verified(made["secret"])
    assert (told["type"], told["data"]) == ("webhook.test", {"webhook_id": made["id"]})
    got = upstream.got("GET", f"/v1/webhooks/deliveries/{sent['id']}")
    assert (got["state"], got["tries"], got["response_status"], got["next_try_at"]) == (
        "DELIVERED",
        1,
        204,
        None,
    )
    assert message.id == sent["id"]
    assert got.pop("body").encode() == message.body
    assert upstream.got("GET", f"/v1/webhooks/{made['id']}/deliveries")["data"] == [got]


def make_local(upstream: Upstream, app: Receiver) -> dict[str, Any]:
    """A webhook of this very machine."""
    made = make(upstream)
    with upstream.engine.begin() as connection:
        connection.execute(t.webhook_endpoint.update().values(url=app.url))
    return made


def test_a_rotated_secret_signs_together_with_the_one_before_for_a_day(
    upstream: Upstream, app: Receiver
) -> None:
    made = make_local(upstream, app)
    rotated = upstream.got("POST", f"/v1/webhooks/{made['id']}/rotate-secret")
    assert rotated["secret"] != made["secret"]
    upstream.got("POST", f"/v1/webhooks/{made['id']}/test", status=202)
    with upstream.engine.begin() as connection:  # the clock of signatures is the real one
        connection.execute(
            t.webhook_endpoint.update().values(previous_until=upstream.clock.now.replace(year=2100))
        )
    deliver(upstream)
    for secret in (made["secret"], rotated["secret"]):
        app.came[0].verified(secret)
    assert audited(upstream, made["id"]) == ["webhook.create", "webhook.rotate-secret"]


def test_what_was_given_up_is_sent_again_by_one_or_all_together(upstream: Upstream, app: Receiver) -> None:
    made = make_local(upstream, app)
    app.answer(410)
    sent = [upstream.got("POST", f"/v1/webhooks/{made['id']}/test", status=202)["id"] for _ in range(3)]
    deliver(upstream)
    disabled = upstream.got("GET", f"/v1/webhooks/{made['id']}")
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "It answered 410 Gone.")
    replay = f"/v1/webhooks/{made['id']}/replay?since=2026-01-01T00:00:00Z"
    upstream.refused(409, "POST", replay)
    upstream.refused(409, "POST", f"/v1/webhooks/deliveries/{sent[0]}/replay")
    with upstream.engine.begin() as connection:
        connection.execute(t.webhook_delivery.update().values(state="FAILED", ended_at=upstream.clock.now))
    enabled = upstream.got("PATCH", f"/v1/webhooks/{made['id']}", {"enabled": True})
    assert (enabled["disabled_reason"], enabled["failing_since"]) == (None, None)
    app.answer(200)
    app.came.clear()
    upstream.got("POST", f"/v1/webhooks/deliveries/{sent[0]}/replay", status=202)
    deliver(upstream)
    assert [message.id for message in app.came] == [sent[0]]
    late = replay.replace("2026-01", "2027-01")
    assert upstream.got("POST", late, status=202) == {"replayed": 0, "more": False}
    assert upstream.got("POST", replay, status=202) == {"replayed": 2, "more": False}
    deliver(upstream)
    assert sorted(message.id for message in app.came) == sorted(sent)
    upstream.refused(422, "POST", f"/v1/webhooks/{made['id']}/replay")
    upstream.refused(422, "POST", f"/v1/webhooks/{made['id']}/replay?since=2026-01-01T00:00:00")
    assert upstream.got("POST", replay.replace("2026-01", "0001-01"), status=202)["replayed"] == 0


def test_the_log_is_read_page_by_page_and_by_state(upstream: Upstream) -> None:
    made = make(upstream)
    sent = []
    for _ in range(5):
        sent.append(upstream.got("POST", f"/v1/webhooks/{made['id']}/test", status=202)["id"])
        upstream.clock.advance(seconds=1)
    log = f"/v1/webhooks/{made['id']}/deliveries?limit=2"
    found, cursor = [], ""
    for _ in range(3):
        page = upstream.got("GET", f"{log}{cursor}")
        found += [one["id"] for one in page["data"]]
        cursor = f"&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert found == sent[::-1]
    assert len(upstream.got("GET", f"{log}&state=PENDING")["data"]) == 2
    assert upstream.got("GET", f"{log}&state=FAILED")["data"] == []
    upstream.refused(422, "GET", f"{log}&state=LOST")
    upstream.refused(422, "GET", f"{log}&cursor=x")


def test_the_setting_lets_an_installation_send_to_its_own_network(upstream: Upstream) -> None:
    assert not Settings(home=upstream.settings.home, _env_file=None).webhook_allow_private
    upstream.settings.__dict__["webhook_allow_private"] = True
    assert make(upstream, url="http://127.0.0.1:8080/")["enabled"]
