"""Names and numbers as they come in requests of `/v1`."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema

#: What people call their things.
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$"),
]
#: A phone number as somebody wrote it; what it is worth is found out row by row.
Written = Annotated[str, StringConstraints(max_length=1000)]
#: A text of several lines, without other control characters.
Prose = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$")
]


def _as_text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_said = isinstance(value, str | int | float) and not isinstance(value, bool)
    if not is_said or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("must be a text or a number")
    return str(value)


#: What is said in a place of a text: a number is its digits.
Said = Annotated[
    str,
    BeforeValidator(_as_text),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "number"}]}),
]
