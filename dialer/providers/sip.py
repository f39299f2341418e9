"""How calls end in SIP: final status codes, with the Q.850 causes that RFC 3398 (8.2.6.1) gives them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dialer.lifecycle import Disposition

Ending = tuple[Disposition, int | None]  # with the Q.850 cause, where there is one

#: Final failures. 488 and 606 have no cause of their own there. 487 has none either: it is what an invitation that was
#: taken back is answered with, and a provider takes it back when it has rung for as long as it was to.
ENDINGS: Mapping[int, Ending] = {
    400: (Disposition.FAILED, 41),  # Bad Request
    401: (Disposition.FAILED, 21),  # Unauthorized: the trunk, not the callee
    402: (Disposition.FAILED, 21),  # Payment Required
    403: (Disposition.FAILED, 21),  # Forbidden: by the network
    404: (Disposition.INVALID_NUMBER, 1),  # Not Found
    405: (Disposition.FAILED, 63),  # Method Not Allowed
    406: (Disposition.FAILED, 79),  # Not Acceptable
    407: (Disposition.FAILED, 21),  # Proxy Authentication Required
    408: (Disposition.NO_ANSWER, 102),  # Request Timeout
    410: (Disposition.INVALID_NUMBER, 22),  # Gone
    413: (Disposition.FAILED, 127),  # Request Entity Too Large
    414: (Disposition.FAILED, 127),  # Request-URI Too Long
    415: (Disposition.FAILED, 79),  # Unsupported Media Type
    416: (Disposition.FAILED, 127),  # Unsupported URI Scheme
    420: (Disposition.FAILED, 127),  # Bad Extension
    421: (Disposition.FAILED, 127),  # Extension Required
    423: (Disposition.FAILED, 127),  # Interval Too Brief
    480: (Disposition.UNAVAILABLE, 18),  # Temporarily Unavailable
    481: (Disposition.FAILED, 41),  # Call/Transaction Does Not Exist
    482: (Disposition.FAILED, 25),  # Loop Detected
    483: (Disposition.FAILED, 25),  # Too Many Hops
    484: (Disposition.INVALID_NUMBER, 28),  # Address Incomplete
    485: (Disposition.INVALID_NUMBER, 1),  # Ambiguous
    486: (Disposition.BUSY, 17),  # Busy Here
    487: (Disposition.NO_ANSWER, 19),  # Request Terminated
    488: (Disposition.FAILED, None),  # Not Acceptable Here
    500: (Disposition.CONGESTION, 41),  # Server Internal Error
    501: (Disposition.FAILED, 79),  # Not Implemented
    502: (Disposition.CONGESTION, 38),  # Bad Gateway
    503: (Disposition.CONGESTION, 41),  # Service Unavailable
    504: (Disposition.CONGESTION, 102),  # Server Time-out
    505: (Disposition.FAILED, 127),  # Version Not Supported
    513: (Disposition.FAILED, 127),  # Message Too Large
    600: (Disposition.BUSY, 17),  # Busy Everywhere
    603: (Disposition.REJECTED, 21),  # Decline
    604: (Disposition.INVALID_NUMBER, 1),  # Does Not Exist Anywhere
    606: (Disposition.FAILED, None),  # Not Acceptable
    607: (Disposition.REJECTED, 21),  # Unwanted (RFC 8197)
    608: (Disposition.CANCELLED, 21),  # Rejected (RFC 8688): by the network's analytics, not by the callee
}

#: The Reason header (RFC 3326), `Q.850;cause=17;text="User busy"`.
_Q850 = re.compile(r"\bQ\.850\s*;[^,]*?\bcause\s*=\s*(\d{1,3})\b", re.IGNORECASE)


def ending(status: int | None, reason: str = "") -> Ending:
    """How a call ended, from its final status and its Reason header; the cause is the header's where it names one. A
    status outside the table is UNKNOWN."""
    disposition, cause = ENDINGS.get(status or 0, (Disposition.UNKNOWN, None))
    told = _Q850.search(reason)
    if told is not None and 1 <= int(told[1]) <= 127:
        cause = int(told[1])
    return disposition, cause
