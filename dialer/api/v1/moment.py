"""Times as `/v1` takes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def _in_utc(at: datetime) -> datetime:
    # Compared before it is converted: what is out of bounds in UTC cannot be.
    if not FIRST <= at < LAST:
        raise ValueError("the time must lie in the years 1970 to 9998")
    return at.astimezone(UTC)


#: RFC 3339 with an offset; UTC from here on.
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]

#: A blank before the offset.
_LOST_PLUS = re.compile(r" (?=\d\d:?\d\d$)")


def _with_plus(given: Any) -> Any:
    # A time without a "T" has a blank of its own, before its hours.
    return _LOST_PLUS.sub("+", given) if isinstance(given, str) and "T" in given else given


#: The same in a query, where a plus that is not written `%2B` has become a blank.
AskedMoment = Annotated[Moment, BeforeValidator(_with_plus)]
