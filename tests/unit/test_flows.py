"""Flows: read from JSON with a sentence for each mistake, walked through key by key, never without an end."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.flow import Action, Does, Flow, Menu, Prompt
from dialer.calls.flow_form import MOST_MENUS, FlowError, parse, schema, stored, to_json
from dialer.calls.flow_steps import MOST_STEPS, at_first_menu, may_opt_out, next_answer
from dialer.campaigns.template import MissingField
from dialer.providers.live import Answer, Collect, Connect

PAGE = Path(__file__).parents[2] / "docs" / "ivr-flows.md"

FORM: dict[str, Any] = {
    "first": "main",
    "menus": {
        "main": {
            "prompts": [{"text": "Dear {contact_name}, press 1 to speak to us."}, {"media": "jingle.wav"}],
            "keys": {
                "1": {"does": "transfer", "number": "+74997090111", "say": [{"text": "One moment."}]},
                "2": {"does": "go_to", "menu": "more"},
                "3": {"does": "notify", "say": [{"text": "Noted."}]},
                "9": {"does": "opt_out", "say": [{"text": "We will not call again."}]},
                "0": {"does": "hang_up"},
                "*": {"does": "repeat"},
            },
            "timeout": 7,
            "repeats": 2,
            "otherwise": {"does": "hang_up", "say": [{"text": "Good bye."}]},
        },
        "more": {
            "prompts": [{"text": "Press 1 to go back."}],
            "keys": {"1": {"does": "go_to", "menu": "main"}},
        },
    },
}
FLOW = parse(FORM)


def after(*keys: str, flow: Flow = FLOW) -> Answer:
    """The answer to the last of these, each pressed after the answer before it; an empty one is no key."""
    answer = next_answer(flow, {}, "").answer
    for pressed in keys:
        answer = next_answer(flow, answer.state, pressed).answer
    return answer


# --- JSON --------------------------------------------------------------------------------------------------


def test_a_flow_is_read_and_written_as_it_was() -> None:
    assert parse(to_json(FLOW)) == FLOW
    assert parse(json.dumps(FORM)) == FLOW
    assert FLOW.menus["more"] == Menu(
        (Prompt("Press 1 to go back."),), {"1": Action(Does.GO_TO, menu="main")}, 5, 1, Action(Does.HANG_UP)
    )


def test_a_number_without_its_plus_is_a_number() -> None:
    form = copy.deepcopy(FORM)
    form["menus"]["main"]["keys"]["1"]["number"] = "74997090111"
    assert parse(form) == FLOW


def changed(**main: Any) -> dict[str, Any]:
    form = copy.deepcopy(FORM)
    form["menus"]["main"].update(main)
    return form


def keyed(key: str, action: object) -> dict[str, Any]:
    return changed(keys={key: action})


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ([], "flow must be an object."),
        ("{", "flow is not JSON: give an object with first and menus."),
        ({"menus": FORM["menus"]}, "flow.first is missing: give it."),
        ({**FORM, "last": "main"}, "flow.last is not known: remove it."),
        ({**FORM, "menus": {}}, "flow.menus is empty: give at least 1."),
        ({**FORM, "menus": 4}, "flow.menus must be an object."),
        (
            {**FORM, "first": "start"},
            "flow.first names the menu start, which menus does not hold: name one of main, more.",
        ),
        (
            {**FORM, "menus": {"a b": FORM["menus"]["more"]}},
            "flow.menus.a b must be a name of up to 40 letters, digits, dashes and underscores.",
        ),
        (changed(prompts=[]), "flow.menus.main.prompts is empty: give at least 1."),
        (changed(prompts=["Hello"]), "flow.menus.main.prompts.0 must be an object."),
        (changed(prompts=[{}]), "flow.menus.main.prompts.0.text is missing: give it."),
        (
            changed(prompts=[{"text": "a", "media": "b"}]),
            "flow.menus.main.prompts.0.text is not known: remove it.",
        ),
        (
            changed(prompts=[{"text": "a {b"}]),
            "flow.menus.main.prompts.0.text has a stray { at character 3: write a field as {name} in letters, "
            "digits and underscores, or {{ for the brace itself.",
        ),
        (
            changed(prompts=[{"text": " "}]),
            "flow.menus.main.prompts.0 is empty or holds control characters: write it in plain characters.",
        ),
        (changed(timeout=0), "flow.menus.main.timeout must be at least 1."),
        (changed(timeout=61), "flow.menus.main.timeout may be at most 60."),
        (changed(repeats="2"), "flow.menus.main.repeats must be a whole number."),
        (changed(keys={}), "flow.menus.main.keys is empty: give at least 1."),
        (keyed("12", {"does": "repeat"}), "flow.menus.main.keys.12 must be one key of 0 to 9, * and #."),
        (keyed("1", 4), "flow.menus.main.keys.1 must be an object."),
        (
            keyed("1", {}),
            "flow.menus.main.keys.1 lacks does: say what is done, one of go_to, transfer, notify, repeat, opt_out, "
            "hang_up.",
        ),
        (
            keyed("1", {"does": "dance"}),
            "flow.menus.main.keys.1 does what is not known: does must be one of 'go_to', 'transfer', 'notify', "
            "'repeat', 'opt_out', 'hang_up'.",
        ),
        (keyed("1", {"does": "go_to"}), "flow.menus.main.keys.1.menu is missing: give it."),
        (
            keyed("1", {"does": "go_to", "menu": "home"}),
            "flow.menus.main.keys.1.menu names the menu home, which menus does not hold: name one of main, more.",
        ),
        (
            keyed("1", {"does": "transfer", "number": "112"}),
            "flow.menus.main.keys.1.number must be a phone number with its country code, such as +74997090111.",
        ),
        (
            keyed("1", {"does": "repeat", "number": "+74997090111"}),
            "flow.menus.main.keys.1.number is not known: remove it.",
        ),
        # Whoever presses nothing has not asked to be left alone, and `repeats` says how often it is said again.
        (
            changed(otherwise={"does": "opt_out"}),
            "flow.menus.main.otherwise does what is not known: does must be one of 'go_to', 'transfer', 'notify', "
            "'hang_up'.",
        ),
        (
            changed(otherwise={"does": "go_to", "menu": "home"}),
            "flow.menus.main.otherwise.menu names the menu home, which menus does not hold: name one of main, more.",
        ),
    ],
)
def test_a_flow_that_cannot_be_used_is_told_with_its_place_and_the_mend(form: object, sentence: str) -> None:
    with pytest.raises(FlowError) as caught:
        parse(form)
    assert str(caught.value) == sentence


def test_a_number_that_cannot_be_dialled_is_not_repeated_in_the_error() -> None:
    with pytest.raises(FlowError, match=r"^flow\.menus\.main\.keys\.1\.number: ") as caught:
        parse(keyed("1", {"does": "transfer", "number": "+999999999999"}))
    assert "9999" not in str(caught.value)


def test_a_flow_has_a_bounded_number_of_menus() -> None:
    menus = {f"m{place}": FORM["menus"]["main"] for place in range(MOST_MENUS + 1)}
    with pytest.raises(FlowError, match="may have at most 50"):
        parse({"first": "m0", "menus": menus})


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["main", "go_to", "repeat"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["first", "menus", "main", "prompts", "text", "media", "keys", "1", "does", "menu"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def why_not(form: Any) -> str:
    """Why it is no flow; nothing when it is one, which then survives being written down."""
    try:
        flow = parse(form)
    except FlowError as error:
        return str(error)
    return "" if parse(to_json(flow)) == flow else "it reads otherwise when written"


@given(json_values)
def test_whatever_is_given_is_a_flow_or_a_sentence(form: Any) -> None:
    sentence = why_not(form)
    assert sentence == "" or (sentence.startswith("flow") and sentence.endswith("."))


@given(json_values)
def test_whatever_is_put_into_a_menu_is_taken_or_told_of(value: Any) -> None:
    for part in FORM["menus"]["main"]:
        sentence = why_not(changed(**{part: value}))
        assert sentence == "" or sentence.startswith("flow.menus.main.")


def test_the_page_shows_the_schema_as_the_code_has_it() -> None:
    shown = PAGE.read_text(encoding="utf-8").partition("## JSON Schema")[2].partition("```json\n")[2]
    assert json.loads(shown.partition("```")[0]) == schema()


def test_the_flows_of_the_page_are_flows() -> None:
    written = PAGE.read_text(encoding="utf-8").partition("## JSON Schema")[0].split("```json\n")[1:]
    assert written
    for one in written:
        parse(one.partition("```")[0])


def test_the_schema_names_every_action_and_allows_nothing_else() -> None:
    told = schema()
    acts = {
        found["properties"]["does"]["const"]
        for found in told["$defs"].values()
        if "does" in found["properties"]
    }
    assert acts == set(Does)
    assert all(found["additionalProperties"] is False for found in [told, *told["$defs"].values()])
    for named in (told["properties"]["menus"], told["$defs"]["AMenu"]["properties"]["keys"]):
        assert named["additionalProperties"] is False


# --- walking through ------------------------------------------------------------------------------------------


def test_whoever_answers_hears_the_first_menu() -> None:
    first = after()
    assert first.say == FLOW.menus["main"].prompts
    assert first.collect == Collect(digits=1, timeout=7)


def test_a_key_connects_with_a_number_after_a_word() -> None:
    step = next_answer(FLOW, at_first_menu(FLOW), "1")
    assert step.answer.say == (Prompt("One moment."),)
    assert step.answer.connect == Connect(("+74997090111",))
    assert step.effects.transfer == "+74997090111"
    assert after("1", "") == Answer()  # and when they have talked, the call is over


def test_whom_somebody_is_connected_with_hears_who_calls_first() -> None:
    said = [{"text": "{contact_name} has pressed 1."}, {"media": "jingle.wav"}]
    action = {"does": "transfer", "number": "+74997090111", "greeting": said}
    flow = parse(keyed("1", action))
    assert parse(to_json(flow)) == flow
    paths = [path for path, _ in flow.prompts() if "greeting" in path]
    assert paths == ["menus.main.keys.1.greeting.0", "menus.main.keys.1.greeting.1"]
    rendered = flow.rendered({"contact_name": "Ann"})
    connect = next_answer(rendered, at_first_menu(rendered), "1").answer.connect
    heard = (Prompt("Ann has pressed 1."), Prompt(media="jingle.wav"))
    assert connect == Connect(("+74997090111",), greeting=heard)
    with pytest.raises(FlowError, match=r"flow\.menus\.main\.keys\.1\.greeting is not known"):
        parse(keyed("1", {"does": "notify", "greeting": said}))


def test_a_key_leads_to_another_menu_and_back() -> None:
    assert after("2").say == FLOW.menus["more"].prompts
    assert after("2", "1").say == FLOW.menus["main"].prompts


@pytest.mark.parametrize(("key", "said"), [("3", "Noted."), ("9", "We will not call again."), ("0", "")])
def test_a_last_key_says_something_and_hangs_up(key: str, said: str) -> None:
    answer = after(key)
    assert answer.collect is answer.connect is None
    assert answer.say == ((Prompt(said),) if said else ())
    assert after(key, "1") == Answer()


def test_only_the_key_for_it_opts_out() -> None:
    assert {key for key in "0123456789*#" if may_opt_out(FLOW, key)} == {"9"}
    assert not may_opt_out(FLOW, "")


@pytest.mark.parametrize("keys", ["9", "59", "*9", "219", "2519", "93"])
def test_whoever_pressed_these_keys_has_opted_out(keys: str) -> None:
    assert may_opt_out(FLOW, keys)


@pytest.mark.parametrize("keys", ["29", "19", "39", "09", "2", "55*"])
def test_whoever_pressed_these_keys_has_not(keys: str) -> None:
    """Not in that menu, or after the last one."""
    assert not may_opt_out(FLOW, keys)


def test_a_menu_that_silence_leads_to_counts() -> None:
    deep = parse(
        {
            "first": "main",
            "menus": {
                "main": {
                    "prompts": [{"text": "Press 1."}],
                    "keys": {"1": {"does": "notify"}},
                    "otherwise": {"does": "go_to", "menu": "leaving"},
                },
                "leaving": {"prompts": [{"text": "Press 9."}], "keys": {"9": {"does": "opt_out"}}},
            },
        }
    )
    assert may_opt_out(deep, "9")
    assert not may_opt_out(deep, "1")


@given(st.lists(st.sampled_from(["", *"0123456789*#"]), max_size=12))
def test_nobody_who_opts_out_is_missed(pressed: list[str]) -> None:
    """Walked through with the silences between, and judged by the keys alone."""
    step = next_answer(FLOW, {}, "")
    opted = False
    for key in pressed:
        if step.answer.collect is None:
            break  # hung up, or talking
        step = next_answer(FLOW, step.answer.state, key)
        opted = opted or step.effects.opt_out
    assert may_opt_out(FLOW, "".join(pressed)) or not opted


def test_no_key_says_the_menu_again_as_often_as_it_says_then_does_otherwise() -> None:
    menu = FLOW.menus["main"].prompts
    assert after("").say == menu
    assert after("", "5").say == menu  # a key without an action counts like none
    assert after("", "5", "").say == (Prompt("Good bye."),)
    assert after("", "5", "").collect is None


def test_a_key_for_saying_it_again_begins_to_count_anew() -> None:
    assert after("", "", "*", "", "").say == FLOW.menus["main"].prompts


def test_of_several_keys_the_first_counts() -> None:
    assert after("21") == after("2")
    assert next_answer(FLOW, at_first_menu(FLOW), "93").effects.key == "9"


def test_a_flow_is_rendered_for_one_person() -> None:
    said = FLOW.rendered({"contact_name": "Ann"})
    assert next_answer(said, {}, "").answer.say[0] == Prompt("Dear Ann, press 1 to speak to us.")
    with pytest.raises(MissingField, match=r"^flow needs the field \{contact_name\}"):
        FLOW.rendered({})


def test_a_greeting_is_said_before_everything_else() -> None:
    greeted = FLOW.greeting(Prompt("Good day."))
    assert after(flow=greeted).say == (Prompt("Good day."), *FLOW.menus["main"].prompts)


def test_a_stored_flow_is_read_once() -> None:
    assert stored("CM1", to_json(FLOW)) is stored("CM1", to_json(FLOW))


prompts = st.builds(Prompt, text=st.just("Hello"))
said = st.lists(prompts, max_size=2).map(tuple)


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    names = draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True))
    without_key = st.one_of(
        st.builds(Action, st.just(Does.GO_TO), said, st.sampled_from(names)),
        st.builds(Action, st.just(Does.TRANSFER), said, st.none(), st.just("+74997090111")),
        st.builds(Action, st.sampled_from([Does.NOTIFY, Does.HANG_UP]), said),
    )
    of_key = without_key | st.builds(Action, st.sampled_from([Does.REPEAT, Does.OPT_OUT]), said)
    menu = st.builds(
        Menu,
        st.lists(prompts, min_size=1, max_size=2).map(tuple),
        st.dictionaries(st.sampled_from("0123456789*#"), of_key, min_size=1),
        st.integers(1, 60),
        st.integers(0, 10),
        without_key,
    )
    return Flow(draw(st.sampled_from(names)), {name: draw(menu) for name in names})


@given(flows(), st.lists(st.text("0123456789*#", max_size=3), min_size=1, max_size=10))
def test_every_way_through_every_flow_has_an_end(flow: Flow, presses: list[str]) -> None:
    answer, answers = next_answer(flow, {}, "").answer, 1
    while answer.collect is not None:
        assert answer.connect is None
        assert not answer.refuse
        answer = next_answer(
            flow, json.loads(json.dumps(answer.state)), presses[answers % len(presses)]
        ).answer
        answers += 1
        assert answers <= MOST_STEPS + 1, "a call could go round for ever"


@given(flows())
def test_every_flow_survives_being_written_down(flow: Flow) -> None:
    assert parse(json.loads(json.dumps(to_json(flow)))) == flow


@given(flows(), json_values, st.text(max_size=5))
def test_no_state_and_no_keys_whatsoever_break_it(flow: Flow, value: Any, keys: str) -> None:
    given_states = [value] if isinstance(value, dict) else []
    given_states += [
        {"menu": flow.first, "again": value, "steps": value},
        {"menu": value, "again": 0, "steps": 0},
    ]
    for state in given_states:
        step = next_answer(flow, state, keys)
        assert step == next_answer(flow, state, keys)  # asked twice, answered the same
