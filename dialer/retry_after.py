"""`Retry-After`: when somebody wants to be asked again."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRY_AFTER_LEAST, RETRY_AFTER_MOST = 1.0, 24 * 3600.0  # seconds


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """`Retry-After` in seconds from `now` (aware), from seconds or an HTTP date (RFC 9110, 10.2.3); None when
    absent or unreadable. Clamped to 1 s … 24 h: zero would hammer, years would silence a provider for good."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:9]) if len(value) < 9 else RETRY_AFTER_MOST
    else:
        try:
            date = parsedate_to_datetime(value)
            if date.tzinfo is None:
                date = date.replace(tzinfo=UTC)
            seconds = (date - now).total_seconds()
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
    return min(max(seconds, RETRY_AFTER_LEAST), RETRY_AFTER_MOST)
