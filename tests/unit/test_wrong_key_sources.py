"""By which address somebody who guesses keys is counted."""

from __future__ import annotations

import pytest

from dialer.pace.wrong_keys import source
from dialer.settings import Settings, SettingsError


@pytest.mark.parametrize(
    ("host", "counted_by"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix:", "unix:"),
        ("x" * 500, "x" * 100),
    ],
)
def test_of_an_ipv6_address_the_network_counts(host: str, counted_by: str) -> None:
    assert source(host) == counted_by


def test_proxies_are_addresses_or_networks(tmp_path: object) -> None:
    def proxies(text: str) -> str | None:
        return Settings(home=f"{tmp_path}/home", trusted_proxies=text, _env_file=None).trusted_proxies

    assert proxies(" 10.0.0.0/8, 192.0.2.1,2001:db8::/32") == "10.0.0.0/8,192.0.2.1/32,2001:db8::/32"
    assert proxies(" * ") == "*"
    for wrong in ("proxy.example.com", "10.0.0.1/8", "10.0.0.0/8,*", ","):
        with pytest.raises(SettingsError, match="DIALER_TRUSTED_PROXIES must be addresses or networks"):
            proxies(wrong)
