from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.campaigns.template import LONGEST_TEXT, MissingField, Template, TemplateError


def test_fields_are_filled_in() -> None:
    template = Template.compile("Dear {contact_name}, you owe {field3} INR")
    assert template.fields == ("contact_name", "field3")
    assert (
        template.render({"contact_name": "Asha", "field3": "12", "other": "x"}) == "Dear Asha, you owe 12 INR"
    )


def test_a_field_may_come_twice_and_is_named_once() -> None:
    template = Template.compile("{a}{b}{a}")
    assert template.fields == ("a", "b")
    assert template.render({"a": "1", "b": "2"}) == "121"


def test_a_text_without_fields_is_itself() -> None:
    assert Template.compile("Hello").render({}) == "Hello"


def test_a_doubled_brace_is_a_brace() -> None:
    assert Template.compile("{{a}} {a} {{{a}}}").render({"a": "x"}) == "{a} x {x}"


def test_a_value_is_never_a_template() -> None:
    assert Template.compile("{a}").render({"a": "{b} {{ {0.__class__}"}) == "{b} {{ {0.__class__}"


@pytest.mark.parametrize(
    ("text", "stray"),
    [
        ("{", "stray { at character 1"),
        ("ab}", "stray } at character 3"),
        ("{}", "stray { at character 1"),
        ("{ a }", "stray {"),
        ("{a b}", "stray {"),
        ("{0}", "stray {"),
        ("{a.__class__}", "stray {"),
        ("{a[0]}", "stray {"),
        ("{a!r}", "stray {"),
        ("{a:>10}", "stray {"),
        ("{имя}", "stray {"),
        ("{" + "a" * 65 + "}", "stray {"),
        ("{{a}", "stray }"),
    ],
)
def test_anything_but_a_plain_name_is_refused(text: str, stray: str) -> None:
    with pytest.raises(TemplateError) as error:
        Template.compile(text)
    assert stray in str(error.value)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(MissingField, match="amount") as error:
        Template.compile("{name} {amount}").render({"name": "Asha"})
    assert error.value.name == "amount"


def test_an_empty_value_is_a_value() -> None:
    assert Template.compile("a{b}c").render({"b": ""}) == "ac"


def test_control_characters_of_values_are_gone_and_line_breaks_are_blanks() -> None:
    assert Template.compile("{a}").render({"a": "x\x00\x1b\x7f\x9by\r\nz\u2028!\ud800"}) == "xy  z !"


def test_joiners_that_scripts_need_stay() -> None:
    assert Template.compile("{a}").render({"a": "क्‍ष"}) == "क्‍ष"


def test_the_result_is_composed_also_across_the_seams() -> None:
    assert Template.compile("e{a}").render({"a": "\u0301"}) == "é"


def test_a_text_too_long_is_refused_before_and_after_filling_in() -> None:
    assert len(Template.compile("x" * LONGEST_TEXT).render({})) == LONGEST_TEXT
    with pytest.raises(TemplateError, match="5,000"):
        Template.compile("x" * (LONGEST_TEXT + 1))
    with pytest.raises(TemplateError, match="5,001"):
        Template.compile("{a}x").render({"a": "y" * LONGEST_TEXT})


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80))
def test_any_text_with_its_braces_doubled_is_said_as_it_is(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert Template.compile(escaped).render({}) == unicodedata.normalize("NFC", text)


@given(st.text("{}ab_0 ", max_size=30))
def test_any_text_is_either_refused_or_rendered(text: str) -> None:
    try:
        template = Template.compile(text)
    except TemplateError:
        return
    values = {name: f"<{name}>" for name in template.fields}
    rendered = template.render(values)
    assert all(value in rendered for value in values.values())
