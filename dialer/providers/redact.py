"""What providers say, without what must not be written down."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from dialer.providers.contract import Submission
from dialer.providers.reading import digits

MAX_DETAIL = 300  # characters


def scrub(text: str, submission: Submission, secrets: Iterable[str]) -> str:
    """`text` without the attempt's number, message and codes, without credentials, on one line, not too long.

    Providers love to echo what they were sent, so what remains is what this attempt did not contain.
    """
    if not text:
        return ""
    text = " ".join(text.split())
    hidden = {secret for secret in secrets if len(secret) >= 4}
    talk = submission.talk
    asked = [] if submission.flow is None else [prompt for _, prompt in submission.flow.prompts()]
    heard = [one for prompt in (*talk.prompts, *asked) for one in (prompt.text, prompt.media)]
    for private in (submission.text, submission.media, submission.code, *heard):
        if private:
            hidden.update((private, " ".join(private.split())))
            # A code may be echoed by itself.
            words = re.findall(r"\w{3,}", private)
            hidden.update(word for word in words if any(c.isdigit() for c in word))
            # … or as it is spoken, one character at a time: `1, 9, 8, 7`.
            spoken = re.findall(r"\b\w(?:, \w\b)+", private)
            hidden.update(spoken)
            hidden.update(run.replace(", ", "") for run in spoken)
    rung = [one.number for one in talk.also]
    for number in (submission.to, submission.caller_id, submission.connect_to, *rung):
        if number:
            hidden.update((number, digits(number)))
    return _hide(text, hidden)


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` without credentials and telephone numbers, on one line, not too long."""
    return _hide(" ".join(text.split()), {secret for secret in secrets if len(secret) >= 4})


def _hide(text: str, hidden: set[str]) -> str:
    spellings = (str, quote, quote_plus, lambda word: json.dumps(word)[1:-1])
    forms = {spell(word) for word in hidden if word for spell in spellings}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "[…]")
    text = re.sub(r"\+?\d[\d\s().-]{5,}\d", "[…]", text)  # any other number that looks like a phone's
    return text[:MAX_DETAIL]
