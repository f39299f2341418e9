"""One thing of each sort that an account has, for requests that name one: made over the API when it is first asked for,
by the name of the parameter or field that holds its id."""

from __future__ import annotations

from itertools import count
from typing import Any

from upstream import Upstream

from dialer.db import writing
from dialer.store import accounts

#: Who is on each list and DND list, and whom codes are brought to.
ONE, TWO = "+919979271234", "+918000681234"
CALLER_ID = "15168148111"
#: How a field is called, and whose id it holds; `channel` is a call's, in the reference's words.
_SAME_AS = {
    "announce_template_id": "template_id",
    "campaign_ids": "campaign_id",
    "channel": "callback_id",
    "dnd_list_ids": "dnd_list_id",
    "request_id": "callback_id",
    "subject": "campaign_id",
    "target_id": "list_id",
}


def is_id(path: str, name: str) -> bool:
    """Whether a parameter or field of this route holds an id."""
    if name == "channel":
        return path.endswith("/modify_call")
    if name == "subject":
        return True
    return name.endswith(("_id", "_ids")) and not name.endswith("caller_id")


class Things:
    """What `things["list_id"]` and its like are the ids of. The account approves its own templates from now on, and
    brings codes to two countries."""

    def __init__(self, upstream: Upstream, *, other: bool = False) -> None:
        self._upstream, self._other = upstream, other
        self._ids: dict[str, str] = {}
        self._turns = count(1)
        account_id = upstream.other_id if other else upstream.account_id
        with writing(upstream.engine) as connection:
            accounts.update(connection, account_id, approves_templates=True)
        rules = {"countries": ["IN", "SE"], "caller_id": f"+{CALLER_ID}"}
        upstream.got("PATCH", "/v1/verifications/settings", rules, other=other)

    def __contains__(self, name: str) -> bool:
        return hasattr(self, f"make_{_SAME_AS.get(name, name)}")

    def __getitem__(self, name: str) -> str:
        sort = _SAME_AS.get(name, name)
        if sort not in self._ids:
            made: str = getattr(self, f"make_{sort}")()
            self._ids[sort] = made
        return self._ids[sort]

    def make_all(self) -> None:
        """Make one of each."""
        for maker in dir(self):
            if maker.startswith("make_") and maker != "make_all":
                self[maker.removeprefix("make_")]

    def forget(self) -> None:
        """Make new ones when they are next asked for."""
        self._ids.clear()

    def put(self, name: str, its_id: str) -> None:
        """Have it be this one, until they are forgotten."""
        self._ids[_SAME_AS.get(name, name)] = its_id

    def own(self, path: str, name: str, given: Any) -> Any:
        """What stands in this parameter or field of this route, an own id in the place of any other; `given` where it
        holds none."""
        if not is_id(path, name) or name not in self:
            return given
        return [self[name]] if name.endswith("_ids") else self[name]

    # --- how each is made ---------------------------------------------------------------------------------------

    def make_list_id(self) -> str:
        list_id = self._made("/v1/lists", {"name": self._name("people")})
        contacts = {"contacts": [{"number": ONE, "name": "Ankit", "fields": {"due": "5"}}]}
        self._post(f"/v1/lists/{list_id}/contacts", contacts)
        return list_id

    def make_dnd_list_id(self) -> str:
        dnd_list_id = self._made("/v1/dnd-lists", {"name": self._name("never")})
        self._post(f"/v1/dnd-lists/{dnd_list_id}/numbers", {"numbers": [{"number": ONE}]})
        return dnd_list_id

    def make_key_id(self) -> str:
        return self._made("/v1/keys", {"name": "app", "scopes": ["read"]})

    def make_template_id(self) -> str:
        template_id = self._made("/v1/templates", {"text": "Your code is {otp}."})
        self._post(f"/v1/templates/{template_id}/approve")
        return template_id

    def make_name(self) -> str:
        """Of a recorded file."""
        name = self._name("theirs" if self._other else "mine") + ".mp3"
        sent = self._upstream.send_file("/v1/media", name, b"ID3" + bytes(200), other=self._other)
        assert sent.is_success, sent.text
        return name

    def make_campaign_id(self) -> str:
        body = {
            "name": self._name("first"),
            "list_id": self["list_id"],
            "caller_id": CALLER_ID,
            "text": "Hello.",
        }
        return self._made("/v1/campaigns", body)

    def make_callback_id(self) -> str:
        both = {"agent_number": ONE, "destination_number": TWO, "caller_id": CALLER_ID}
        return self._made("/v1/callbacks", {**both, "at": "2026-09-26T09:00:00Z"})

    def make_call_id(self) -> str:
        body = {"purpose": "announcement", "to": ONE, "from": CALLER_ID, "message": "Hello."}
        return self._made("/v1/calls", body)

    def make_verification_id(self) -> str:
        return self._made("/v1/verifications", {"number": TWO})

    def make_webhook_id(self) -> str:
        body = {"url": "https://hooks.example.com/dialer", "events": ["call.ended"]}
        return self._made("/v1/webhooks", body)

    def make_delivery_id(self) -> str:
        return self._made(f"/v1/webhooks/{self['webhook_id']}/test")

    def make_import_id(self) -> str:
        fields = {"kind": "contacts", "target_id": self._made("/v1/lists", {"name": self._name("imported")})}
        sent = self._upstream.send_file(
            "/v1/imports", "people.csv", b"phone\n12\n", fields, other=self._other
        )
        assert sent.is_success, sent.text
        import_id: str = sent.json()["id"]
        return import_id

    def _name(self, of: str) -> str:
        return f"{of}-{next(self._turns)}"

    def _made(self, path: str, body: Any = None) -> str:
        made: str = self._post(path, body)["id"]
        return made

    def _post(self, path: str, body: Any = None) -> Any:
        answer = self._upstream.ask("POST", path, body, other=self._other)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()
