"""What MTT's Telecom API has for numbers, whichever kind of MTT's calls them (`mtt-telecom-api.md`).

The login is that of the CallBack API; `service_url` says where each service is.
"""

from __future__ import annotations

from collections.abc import Mapping

from dialer.providers import (
    mtt_black_list_methods,
    mtt_followme_methods,
    mtt_number_methods,
    mtt_premedia_methods,
)
from dialer.providers.methods import Method

#: By their names, a group after the other.
METHODS: Mapping[str, Method] = {
    **mtt_followme_methods.METHODS,
    **mtt_number_methods.METHODS,
    **mtt_premedia_methods.METHODS,
    **mtt_black_list_methods.METHODS,
}
