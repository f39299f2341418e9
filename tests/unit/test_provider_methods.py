"""What providers document beside calls: the methods' parameters, requests and replies, by the references."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderConfig, ProviderError, ProviderRequest, Reply
from dialer.providers.kinds import adapter_class, adapter_kinds, make_adapter
from dialer.providers.methods import (
    MAX_FILE,
    File,
    Method,
    Parameter,
    Value,
    markdown,
    methods,
    multipart,
    unknown_method,
)
from dialer.providers.mitto import STATUSES
from dialer.providers.mitto_methods import ERRORS, METHODS
from dialer.providers.redact import hide
from dialer.sandbox.mitto_media import read_upload

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
KEY = "k3y-value"
Sample = Callable[[Method], dict[str, Value]]

#: Every section of a provider's document that describes a request, and the methods that make it; none where it
#: rings somebody, which is `submit`'s alone.
DOCUMENTED: dict[str, dict[str, set[str]]] = {
    "cpaas": {
        "Click To Call": set(),
        "Create Callback Request": {"callback_create"},
        "Update Callback Request": {"callback_update"},
        "Delete Callback Request": {"callback_delete"},
        "One Time Password": set(),
        "Create Campaign List": {"create_campaign_list"},
        "Add Contacts to List": {"add_contact_to_list"},
        "Import Contacts via CSV File": {"import_broadcast_contacts_csv"},
        "Create Campaign DND List": {"create_campaign_dnd_list"},
        "Add DND Contacts To List": {"add_dnd_contact_to_list"},
        "Add DND Contacts to List via CSV File": {"import_dnd_contacts_csv"},
        "Create Campaign": {"create_campaign"},
        "Stop Campaign": {"stop_campaign"},
        "Get Campaign Details": {"get_campaign_details"},
        "Get CDR By Date": {"get_cdr_by_date"},
        "Get CDR By Request ID": {"get_cdr_by_request_id"},
        "Get CDR By Campaign ID": {"get_cdr_by_campaign_id"},
        "Get CDR Statistics": {"get_cdr_statistics"},
        "Get Live Calls Statistics": {"get_live_call_statistics"},
        "Get Campaign CDR Statistics": {"get_campaign_cdr_statistics"},
        "Modify Live Call": {"transfer_call", "attend_transfer", "hang_up_call", "record_call"},
    },
    "iotcomms": {
        **{
            f"/{{domain}}/{name}": {name}
            for name in (
                *(
                    "answerremotecall",
                    "answerremotecalljwt",
                    "hangupcall",
                    "hangupcalljwt",
                    "hangupparticipant",
                ),
                *("hangupremoteparticipant", "interruptivrcommand", "placeremotecall", "placeremotecalljwt"),
                *("sendremotecallringback", "sendremotecallringbackjwt", "splitconnection", "startrecording"),
                "stoprecording",
            )
        },
        "/{domain}/placeivrcall": set(),
        "/{domain}/promptfile": {"promptfile_list"},
        "/{domain}/promptfile/{filename}": {"promptfile_put", "promptfile_delete"},
        "/{domain}/promptfile/{filename}/move": {"promptfile_move"},
        "/{domain}/promptfile/{filename}/url": {"promptfile_url"},
    },
    "mitto": {
        "Getting a list of all objects": {"media_list"},
        "Getting a specific object": {"media_folder", "media_file"},
        "Folder creation": {"media_create_folder"},
        "File Upload": {"media_upload"},
        "Object rename": {"media_rename"},
        "Deleting an object": {"media_delete"},
        "Application activation": set(),
        "Launching the application with repeats": set(),
        "Balance check": {"balance"},
    },
    "mtt-callback": {
        "makeCallBackCallFollowme": set(),
        "getCallBackFollowmeCallInfo": {"getCallBackFollowmeCallInfo"},
        "setCallBackPrompt": {"setCallBackPrompt"},
        "getCallBackPromptInfo": {"getCallBackPromptInfo"},
        "setCallBackFollowme": {"setCallBackFollowme"},
        "getCallBackFollowme": {"getCallBackFollowme"},
        "deleteCallBackFollowme": {"deleteCallBackFollowme"},
        "getCallHistory": {"getCallHistory"},
        "getServiceHistoryByCustomer": {"getServiceHistoryByCustomer"},
        "rc.mtt.ru": {"record_links"},
        "getCustomerBalance": {"getCustomerBalance"},
        "getPersonalAccountList": {"getPersonalAccountList"},
        "setFollowme": {"setFollowme"},
        "getFollowme": {"getFollowme"},
        "updateCallControlURL": {"updateCallControlURL"},
        "setReserveCallControlNumber": {"setReserveCallControlNumber"},
        "getAccountCustomFields": {"getAccountCustomFields"},
        "Premedia API, createCustomerPrompt": {"createCustomerPrompt", "createSpokenPrompt"},
        "Premedia API, getCustomerPrompts": {"getCustomerPrompts"},
        "Premedia API, deleteCustomerPrompt": {"deleteCustomerPrompt"},
        "Premedia API, updatePremediaAccountSettings": {"updatePremediaAccountSettings"},
        "Premedia API, setAccountPrompt": {"setAccountPrompt"},
        "Premedia API, unsetAccountPrompt": {"unsetAccountPrompt"},
        "Premedia API, getPremediaAccountSettings": {"getPremediaAccountSettings"},
        "Premedia API, setFollowme": {"setPremediaFollowme"},
        "Premedia API, getFollowmeAccountSettings": {"getFollowmeAccountSettings"},
        "addNumbers": {"addNumbers"},
        "Global Black List, addGBLRule": {"addGBLRule"},
        "Global Black List, deleteGBLRule": {"deleteGBLRule"},
        "Global Black List, getGBLRules": {"getGBLRules"},
    },
    "mtt-sms": {
        "Для получения номеров аккаунта": {"numbers"},
        "Для отправки сообщения": set(),
        "Для получения истории сообщений": {"messages"},
        "Для получения информации по сообщению": {"message"},
    },
}

EVERY = [
    pytest.param(kind, method, id=f"{kind}-{method.name}")
    for kind in adapter_kinds()
    for method in adapter_class(kind).methods.values()
]


def mitto() -> Adapter:
    return make_adapter(ProviderConfig("PR1", "north", "mitto", "", {"access_key": KEY}))


def request_of(name: str, /, **values: Value) -> ProviderRequest:
    method = METHODS[name]
    return method.build(mitto(), method.checked(values))


def reply(body: object, status: int = 200, content_type: str = "application/json") -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {"content-type": content_type}, raw)


def read(name: str, body: object, status: int = 200, content_type: str = "application/json") -> Any:
    return METHODS[name].read(reply(body, status, content_type))


# --- the tables ------------------------------------------------------------------------------------------


def test_every_documented_request_has_its_method_and_every_method_its_section() -> None:
    for kind in adapter_kinds():
        found: dict[str, set[str]] = {}
        for method in adapter_class(kind).methods.values():
            found.setdefault(method.section, set()).add(method.name)
        documented = DOCUMENTED.get(kind, {})
        assert found == {section: names for section, names in documented.items() if names}, kind


@pytest.mark.parametrize(("kind", "method"), EVERY)
def test_a_method_stands_under_its_own_name_and_in_the_table_of_its_kind(kind: str, method: Method) -> None:
    known = adapter_class(kind).methods
    assert known[method.name] is method
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    assert markdown(known) in section


@pytest.mark.parametrize(("kind", "method"), EVERY)
def test_a_methods_parameters_can_be_told_apart_and_written(
    kind: str, method: Method, sample: Sample
) -> None:
    names = [parameter.name for parameter in method.parameters]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() for name in [method.name, *names])
    assert method.checked(sample(method)) == sample(method)
    assert not method.sentence.endswith(".")


@pytest.mark.parametrize(("kind", "method"), EVERY)
def test_what_is_only_asked_for_changes_nothing(kind: str, method: Method, sample: Sample) -> None:
    if kind == "mitto":  # speaks REST; at others the HTTP method says nothing
        values = sample(method)
        assert method.changes == (method.build(mitto(), method.checked(values)).method != "GET")


# --- parameters ------------------------------------------------------------------------------------------

PLAY = Method(
    "play",
    "Playing",
    "plays",
    lambda _, __: ProviderRequest("GET", "play"),
    lambda _: None,
    (
        Parameter("id", "the file's id", int, needed=True),
        Parameter("title", "what it is called"),
        Parameter("loud", "whether it is loud", bool),
        Parameter("file", "what is played", File),
        Parameter("side", "to whom", choices=("A", "B")),
        Parameter(
            "keys",
            "what is pressed",
            list,
            fields=(
                Parameter("key", "the key", int, needed=True),
                Parameter("on", "whether", choices=("Y", "N")),
            ),
        ),
    ),
)
PLAYS = "id=NUMBER [title=TEXT] [loud=yes/no] [file=@FILE] [side=A|B] [keys=JSON]"
KEYS = "keys=JSON, an array of 1 to 1000 objects with key=NUMBER [on=Y|N]."


def test_texts_are_read_by_the_parameters_types() -> None:
    given_ = {"id": " 67 ", "title": " Hymns ", "loud": "Yes", "file": File("a.mp3", b"")}
    assert PLAY.checked(given_) == {"id": 67, "title": " Hymns ", "loud": True, "file": File("a.mp3", b"")}
    assert PLAY.checked({"id": 67, "loud": False}) == {"id": 67, "loud": False}
    assert PLAY.checked({"id": "-1", "loud": "0"}) == {"id": -1, "loud": False}
    pressed = [{"key": 1}, {"key": 2, "on": "N"}]
    given_ = {"id": "1", "side": "B", "keys": '[{"key": 1}, {"key": "2", "on": "N"}]'}
    assert PLAY.checked(given_) == {"id": 1, "side": "B", "keys": pressed}
    assert PLAY.checked({"id": 1, "keys": pressed}) == {"id": 1, "keys": pressed}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "play needs id, the file's id; it takes " + PLAYS + "."),
        ({"id": 1, "colour": "s3cret"}, "no parameter 'colour'; it knows id, title, loud, file, side, keys."),
        ({"id": ""}, "id=NUMBER."),
        ({"id": "s3cret"}, "id=NUMBER."),
        ({"id": "1.5"}, "id=NUMBER."),
        ({"id": "٣"}, "id=NUMBER."),
        ({"id": "9" * 19}, "id=NUMBER."),
        ({"id": True}, "id=NUMBER."),
        ({"id": File("a", b"")}, "id=NUMBER."),
        ({"id": 1, "title": " "}, "title=TEXT."),
        ({"id": 1, "title": "\udcff"}, "title=TEXT."),
        ({"id": 1, "title": 7}, "title=TEXT."),
        ({"id": 1, "loud": "s3cret"}, "loud=yes/no."),
        ({"id": 1, "loud": 1}, "loud=yes/no."),
        ({"id": 1, "file": "a.mp3"}, "file=@FILE with at most 64 MiB."),
        ({"id": 1, "file": File(" ", b"")}, "file=@FILE with at most 64 MiB."),
        ({"id": 1, "side": "s3cret"}, "side=A|B."),
        ({"id": 1, "side": "a"}, "side=A|B."),
        ({"id": 1, "keys": "s3cret"}, KEYS),
        ({"id": 1, "keys": "{}"}, KEYS),
        ({"id": 1, "keys": "[" * 100_000}, KEYS),
        ({"id": 1, "keys": []}, KEYS),
        ({"id": 1, "keys": [{"key": 1}] * 1001}, KEYS),
        ({"id": 1, "keys": ["s3cret"]}, KEYS),
        ({"id": 1, "keys": [{"on": "Y"}]}, KEYS),
        ({"id": 1, "keys": [{"key": 1, "s3cret": 1}]}, KEYS),
        ({"id": 1, "keys": [{"key": 1}, {"key": "s3cret"}]}, KEYS),
        ({"id": 1, "keys": [{"key": 1, "on": "s3cret"}]}, KEYS),
        ({"id": 1, "keys": [{"key": None}]}, KEYS),
    ],
)
def test_a_value_that_cannot_be_used_is_a_sentence_that_names_its_parameter(
    values: dict[str, Value], words: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        PLAY.checked(values)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_is_too_long_is_not_sent() -> None:
    assert PLAY.checked({"id": 1, "file": File("a", bytes(MAX_FILE))})
    with pytest.raises(ProviderError, match="64 MiB"):
        PLAY.checked({"id": 1, "file": File("a", bytes(MAX_FILE + 1))})


def test_an_unknown_method_is_told_beside_the_known_ones() -> None:
    assert str(unknown_method("mitto", "sing", methods(PLAY))) == (
        "A provider of kind mitto has no method 'sing'; it knows play."
    )
    assert "none beside calls" in str(unknown_method("mitto", "sing", {}))


def test_a_method_without_parameters_takes_none() -> None:
    with pytest.raises(ProviderError, match="balance has no parameter 'id'; it takes none"):
        METHODS["balance"].checked({"id": 1})


def test_choices_and_fields_are_written_so_that_a_table_stays_one() -> None:
    assert (
        "`[side=A\\|B]` to whom; `[keys=JSON]` what is pressed (`key=NUMBER` the key, `[on=Y\\|N]` whether)"
        in (markdown(methods(PLAY)))
    )


# --- uploads ---------------------------------------------------------------------------------------------

NAMES = st.text(min_size=1, max_size=40).filter(lambda name: name == name.strip() and name.isprintable())


@given(NAMES.filter(lambda name: not set('%\\"') & set(name)), st.binary(max_size=300))
def test_an_upload_holds_the_file_as_it_is(name: str, content: bytes) -> None:
    header, body = multipart("file", File(name, content))
    assert read_upload(header["Content-Type"], body) == (name, content)


def test_a_file_may_hold_line_breaks_and_dashes_and_its_name_quotes() -> None:
    content = b"\r\n--boundary--\r\n\n--\r"
    header, body = multipart("file", File('say "hello".mp3', content))
    assert header["Content-Type"].startswith("multipart/form-data; boundary=")
    assert read_upload(header["Content-Type"], body) == ('say "hello".mp3', content)
    assert b'name="file"' in body
    assert b"Content-Type: audio/mpeg" in body


# --- hiding ----------------------------------------------------------------------------------------------


def test_what_a_provider_echoes_of_a_credential_is_hidden() -> None:
    said = "key k3y-value%2B or k3y-value+ of\n+46 70 111 22 33"
    assert hide(said, ["k3y-value+", "of"]) == "key […] or […] of […]"


# --- mitto: requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "values", "method", "path", "params", "body"),
    [
        ("balance", {}, "GET", "balance", None, None),
        ("media_list", {}, "GET", "media", {}, None),
        ("media_list", {"page": 1, "per_page": 10}, "GET", "media", {"page": "1", "per_page": "10"}, None),
        ("media_list", {"disable_pagination": "yes"}, "GET", "media", {"disable_pagination": "1"}, None),
        ("media_list", {"disable_pagination": "no"}, "GET", "media", {}, None),
        ("media_folder", {"id": 65, "page": 2}, "GET", "media/65", {"page": "2"}, None),
        ("media_file", {"id": 74}, "GET", "media/74", None, None),
        ("media_create_folder", {"name": "asdasd"}, "POST", "media", None, {"name": "asdasd"}),
        ("media_rename", {"id": 111, "name": "asdasd"}, "PUT", "media/111", None, {"name": "asdasd"}),
        ("media_delete", {"id": 111}, "DELETE", "media/111", None, None),
    ],
)
def test_a_request_reads_as_in_the_reference(
    name: str,
    values: dict[str, Value],
    method: str,
    path: str,
    params: dict[str, str] | None,
    body: dict[str, str] | None,
) -> None:
    request = request_of(name, **values)
    assert (request.method, request.path, request.params, request.json) == (method, path, params, body)
    assert request.headers == {"X-Authorization": f"AccessKey {KEY}"}
    assert request.content is None


@pytest.mark.parametrize(("values", "path"), [({}, "media"), ({"folder": "65"}, "media/65")])
def test_a_file_is_uploaded_as_a_form_into_the_root_or_a_folder(values: dict[str, Value], path: str) -> None:
    request = request_of("media_upload", file=File("So young.mp3", b"ID3"), **values)
    assert (request.method, request.path, request.json) == ("POST", path, None)
    assert request.headers["X-Authorization"] == f"AccessKey {KEY}"
    assert request.content is not None
    uploaded = read_upload(request.headers["Content-Type"], request.content)
    assert uploaded == ("So young.mp3", b"ID3")


# --- mitto: replies --------------------------------------------------------------------------------------

HYMNS = {"createdDateTime": "2020-02-12 18:09:10", "id": 65, "name": "Hymns", "isFolder": 1}
SO_YOUNG = {"createdDateTime": "2020-03-04 13:17:47", "id": 74, "name": "So young.mp3", "isFolder": 0}
PAGINATION = {"totalItems": 2, "currentPage": 1, "totalPages": 1}
LISTED = {"media": [HYMNS, SO_YOUNG], "pagination": PAGINATION}


def test_the_examples_of_the_reference_are_read() -> None:
    for name in ("media_list", "media_folder"):
        assert read(name, {"status": "ok", **LISTED}) == LISTED
        assert read(name, {"status": "ok", "media": []}) == {"media": []}
    for name in ("media_create_folder", "media_upload", "media_rename"):
        assert read(name, {"status": "ok", "media": HYMNS}) == HYMNS
    assert read("media_delete", {"status": "ok"}) == {"status": "ok"}
    told = {"personalAccountId": "0000000000", "balance": "100.0"}
    assert read("balance", told) == told
    assert read("balance", {"status": "ok", **told, "balance": -7}) == {**told, "balance": "-7"}


def test_a_file_is_whatever_comes() -> None:
    fetched = read("media_file", b"ID3\x00\xff", content_type="audio/mpeg")
    assert fetched == {"contentType": "audio/mpeg", "size": 5, "content": "SUQzAP8="}
    assert read("media_file", b"")["size"] == 0
    assert read("media_file", {"status": "of the union"})["size"] == 26
    assert read("media_file", {"status": ["ok"]})["size"] == 18


def test_a_folder_is_no_file() -> None:
    with pytest.raises(ProviderError, match="media_folder lists"):
        read("media_file", {"status": "ok", **LISTED})


def test_every_documented_error_has_its_sentence() -> None:
    assert set(ERRORS) == set(STATUSES) - {"ok"}
    assert all(sentence.endswith(".") and len(sentence) < 120 for sentence in ERRORS.values())


@pytest.mark.parametrize("http_status", [200, 400, 500])
@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("name", METHODS)
def test_a_documented_error_is_told_whatever_the_http_status(
    name: str, status: str, http_status: int
) -> None:
    with pytest.raises(ProviderError) as caught:
        read(name, {"status": status, "media": [HYMNS], "balance": "1"}, http_status)
    assert str(caught.value) == ERRORS[status]


ODD: list[object] = [
    b"",
    b"<html><body>It works!",
    b'{"status": "ok", "media": [{"id": 65',
    b'\xff\xfe{"status": "ok"}',
    [],
    None,
    "ok",
    {},
    {"status": None},
    {"status": 0},
    {"status": ["ok"]},
    {"status": "great"},
    {"status": "OK"},
    {"media": [HYMNS]},
]


@pytest.mark.parametrize("body", ODD, ids=str)
@pytest.mark.parametrize("name", [name for name in METHODS if name != "media_file"])
def test_what_is_no_documented_answer_is_an_error(name: str, body: object) -> None:
    with pytest.raises(ProviderError, match="HTTP 200 and nothing that it documents"):
        read(name, body)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        *[("balance", {"personalAccountId": "1", "balance": wrong}) for wrong in (None, True, [], "x", "")],
        ("balance", b'{"personalAccountId": "1", "balance": NaN}'),
        ("balance", {"personalAccountId": "1", "balance": "Infinity"}),
        ("balance", {"personalAccountId": 1, "balance": "1"}),
        ("balance", {"status": "ok"}),
        *[
            ("media_list", {"status": "ok", "media": wrong})
            for wrong in (None, {}, "x", [1], [[]], [None], [{**HYMNS, "id": "65"}], [{"id": 65}])
        ],
        *[
            ("media_list", {"status": "ok", "media": [], "pagination": wrong})
            for wrong in ([], 1, {}, {**PAGINATION, "totalPages": "1"}, {**PAGINATION, "totalItems": None})
        ],
        *[
            ("media_rename", {"status": "ok", "media": wrong})
            for wrong in (
                [HYMNS],
                {**HYMNS, "id": True},
                {**HYMNS, "isFolder": 2},
                {**HYMNS, "isFolder": "1"},
                {**HYMNS, "name": None},
                {**HYMNS, "createdDateTime": 5},
            )
        ],
    ],
)
def test_a_success_with_anything_else_in_it_is_an_error(name: str, body: object) -> None:
    with pytest.raises(ProviderError, match="nothing that it documents"):
        read(name, body)


@pytest.mark.parametrize("http_status", [302, 404, 500, 503])
@pytest.mark.parametrize("name", METHODS)
def test_a_success_under_another_http_status_is_an_error(name: str, http_status: int) -> None:
    listing = name in ("media_list", "media_folder")
    body = {"status": "ok", "media": [HYMNS] if listing else HYMNS, "personalAccountId": "1", "balance": "1"}
    with pytest.raises(ProviderError, match=f"HTTP {http_status}"):
        read(name, body, http_status)


def test_a_page_of_html_is_no_file() -> None:
    with pytest.raises(ProviderError, match="nothing that it documents"):
        read("media_file", b"<html>Sign in", content_type="text/html; charset=utf-8")
    with pytest.raises(ProviderError, match="HTTP 502"):
        read("media_file", b"Bad Gateway", 502, "text/plain")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "media", "pagination", "id", "name", "isFolder", "balance", "x"]),
            inner | st.sampled_from(["ok", "rpcError"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(EVERY),
    st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([200, 204, 302, 400, 500]),
)
def test_no_reply_whatsoever_breaks_a_method(which: Any, body: bytes, status: int) -> None:
    method: Method = which.values[1]
    try:
        result = method.read(Reply(status, {}, body))
    except ProviderError:
        return
    json.dumps(result, allow_nan=False)
