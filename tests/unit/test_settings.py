"""Settings: where they come from, what they become, and what is refused with which sentence."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from dialer.settings import (
    MAX_SOCKET_PATH,
    SECRETS_DIR,
    Settings,
    SettingsError,
    get_settings,
    private_folder,
    socket_path,
)

DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
GOOD_PRODUCTION = {
    "env": "production",
    "database_url": "postgresql+psycopg://dialer:pw@db/dialer",
    "redis_url": "redis://cache:6379/0",
    "secret_key": "a-long-enough-passphrase",
    "public_url": "https://calls.example.com",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith("DIALER_"):
            monkeypatch.delenv(name)
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def problems(**values: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        Settings(**values)
    return caught.value.problems


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_variable_is_documented_and_every_documented_variable_exists() -> None:
    documented = set(re.findall(r"^\| `(DIALER_[A-Z_]+)` \|", DOCS.read_text(), flags=re.MULTILINE))
    assert documented == {f"DIALER_{name.upper()}" for name in Settings.model_fields} | {SECRETS_DIR}


def test_with_nothing_set_everything_is_below_the_home(home: Path) -> None:
    settings = Settings(home=home)
    assert settings.database_url == f"sqlite:///{home}/dialer.db"
    assert settings.uploads == str(home / "uploads")
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.is_embedded_redis
    assert settings.default_region is None
    assert not settings.is_production


def test_the_home_is_made_for_its_owner_only(home: Path) -> None:
    Settings(home=home / "deep" / "down")
    assert mode(home / "deep" / "down") == 0o700


def test_a_home_of_ours_that_was_opened_is_closed_again(home: Path) -> None:
    (home / "run").mkdir(parents=True)
    home.chmod(0o755)
    Settings(home=home)
    assert mode(home) == 0o700


def test_a_folder_full_of_other_things_is_not_taken_as_home(home: Path) -> None:
    home.mkdir()
    home.chmod(0o755)
    (home / "letters").write_text("private")
    assert problems(home=home) == [
        f"DIALER_HOME names {home}, which is open to other users: `chmod 700` it or name another, "
        f"such as {home}/dialer."
    ]
    assert mode(home) == 0o755


def test_a_home_that_cannot_be_made_is_a_sentence(home: Path) -> None:
    home.write_text("a file")
    assert problems(home=home / "below") == [
        f"DIALER_HOME names {home / 'below'}, which cannot be made (Not a directory): "
        "name another or mend its rights."
    ]


def test_the_environment_wins_over_dotenv_over_the_secrets_folder(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name, value in {"port": "1", "flower_port": "1", "secret_key": "from-the-secrets-folder"}.items():
        (folder / f"dialer_{name}").write_text(value)
    Path(".env").write_text("DIALER_PORT=2\nDIALER_FLOWER_PORT=2\nOTHER=x\n")
    monkeypatch.setenv("DIALER_PORT", "3")
    monkeypatch.setenv("DIALER_HOME", str(home))
    monkeypatch.setenv(SECRETS_DIR, str(folder))

    settings = Settings()

    assert (settings.port, settings.flower_port) == (3, 2)
    assert settings.secret_keys() == ["from-the-secrets-folder"]


def test_a_secrets_folder_that_is_not_there_is_a_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRETS_DIR, "/nowhere/at/all")
    assert problems(home=home) == [
        "DIALER_SECRETS_DIR names /nowhere/at/all, which is not a folder: make it or unset it."
    ]


def test_an_empty_variable_counts_as_not_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIALER_REDIS_URL", "")
    assert Settings(home=home).is_embedded_redis


def test_settings_are_read_once_until_the_cache_is_cleared(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIALER_HOME", str(home))
    assert get_settings() is get_settings()
    monkeypatch.setenv("DIALER_PORT", "9000")
    assert get_settings().port == 8000
    get_settings.cache_clear()
    assert get_settings().port == 9000


def test_the_public_url_follows_the_port_unless_it_is_set(home: Path) -> None:
    assert Settings(home=home, port=9000).public_url == "http://127.0.0.1:9000"
    assert (
        Settings(home=home, public_url="https://x.example/dialer/").public_url == "https://x.example/dialer"
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_means_the_same_driver(home: Path, scheme: str) -> None:
    settings = Settings(home=home, database_url=f"{scheme}://u:p@db/dialer")
    assert settings.database_url == "postgresql+psycopg://u:p@db/dialer"


@pytest.mark.parametrize(
    ("redis_url", "broker_url"),
    [
        ("redis://cache:6379/3", "redis://cache:6379/3"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("unix:///run/my%20redis.sock?db=2", "redis+socket:///run/my%20redis.sock?virtual_host=2"),
    ],
)
def test_celery_gets_the_redis_url_in_its_own_words(home: Path, redis_url: str, broker_url: str) -> None:
    assert Settings(home=home, redis_url=redis_url).broker_url == broker_url


def test_a_broker_set_apart_is_kept(home: Path) -> None:
    settings = Settings(home=home, broker_url="amqp://guest:guest@rabbit//")
    assert settings.broker_url == "amqp://guest:guest@rabbit//"
    assert settings.is_embedded_redis


def test_the_socket_is_below_a_short_home_and_elsewhere_for_a_long_one() -> None:
    assert socket_path(Path("/srv/dialer")) == Path("/srv/dialer/run/redis.sock")
    long, other = Path("/srv") / ("x" * 100), Path("/srv") / ("y" * 100)
    for path in (socket_path(long), socket_path(other)):
        assert len(os.fsencode(path)) < MAX_SOCKET_PATH
    assert socket_path(long) == socket_path(long) != socket_path(other)


def test_the_socket_is_elsewhere_even_when_the_temporary_folder_is_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/" + "t" * 120)
    assert len(os.fsencode(socket_path(Path("/srv") / ("x" * 100)))) < MAX_SOCKET_PATH


def test_the_embedded_urls_point_at_the_socket(home: Path) -> None:
    settings = Settings(home=home)
    assert settings.redis_url == f"unix://{settings.embedded_socket}"
    assert settings.broker_url == f"redis+socket://{settings.embedded_socket}"


def test_a_secret_key_is_made_once_and_only_its_owner_can_read_it(home: Path) -> None:
    first = Settings(home=home).secret_keys()
    assert Settings(home=home).secret_keys() == first
    assert len(first) == 1
    assert len(first[0]) >= 32
    assert mode(home / "secrets" / "secret_key") == 0o600
    assert mode(home / "secrets") == 0o700
    assert os.listdir(home / "secrets") == ["secret_key"]


def test_all_who_ask_for_the_first_key_at_once_get_the_same(home: Path) -> None:
    settings = Settings(home=home)
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: settings.secret_keys()[0], range(64)))
    assert len(set(keys)) == 1
    assert os.listdir(home / "secrets") == ["secret_key"]


def test_secret_keys_are_a_comma_separated_list(home: Path) -> None:
    fernet = Fernet.generate_key().decode()
    settings = Settings(home=home, secret_key=f"{fernet}, the-old-passphrase ,")
    assert settings.secret_keys() == [fernet, "the-old-passphrase"]
    assert not (home / "secrets").exists()


def test_flowers_login_is_made_once_and_must_be_set_in_production(home: Path) -> None:
    login = Settings(home=home).flower_login()
    assert login.startswith("dialer:")
    assert Settings(home=home).flower_login() == login
    assert Settings(home=home, flower_auth="ops:secret").flower_login() == "ops:secret"
    with pytest.raises(SettingsError, match="DIALER_FLOWER_AUTH"):
        Settings(home=home, **GOOD_PRODUCTION).flower_login()


def test_nothing_secret_is_in_the_repr(home: Path) -> None:
    shown = repr(
        Settings(
            home=home,
            database_url="postgresql://u:hush-db@h/d",
            redis_url="redis://:hush-redis@h",
            broker_url="amqp://u:hush-broker@h",
            secret_key="hush-hush-hush-hush",
            flower_auth="u:hush-flower",
        )
    )
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("env", "staging", "DIALER_ENV is not valid: input should be 'development' or 'production'."),
        ("port", 70000, "DIALER_PORT is not valid: input should be less than or equal to 65535."),
        ("default_region", "XQ", "DIALER_DEFAULT_REGION must be a country of two letters, such as IN or GB."),
        (
            "default_region",
            "India",
            "DIALER_DEFAULT_REGION must be a country of two letters, such as IN or GB.",
        ),
        (
            "database_url",
            "mysql://h/d",
            "DIALER_DATABASE_URL must begin with postgresql+psycopg:// or sqlite:///.",
        ),
        (
            "redis_url",
            "valkey://h",
            "DIALER_REDIS_URL must begin with redis://, rediss:// or unix:// (Valkey is reached with these, too).",
        ),
        (
            "broker_url",
            "sqs://",
            "DIALER_BROKER_URL must begin with redis://, rediss://, redis+socket://, amqp:// or amqps://.",
        ),
        (
            "public_url",
            "calls.example.com",
            "DIALER_PUBLIC_URL must be the address that providers reach us at, such as "
            "https://calls.example.com.",
        ),
        (
            "secret_key",
            "a-long-enough-passphrase,short",
            "DIALER_SECRET_KEY needs at least 16 characters in every comma-separated key.",
        ),
        ("flower_auth", "justauser", "DIALER_FLOWER_AUTH must be user:password."),
        ("reconcile_after", 0, "DIALER_RECONCILE_AFTER is not valid: input should be greater than 0."),
    ],
)
def test_a_wrong_value_is_one_sentence(home: Path, field: str, value: object, sentence: str) -> None:
    assert problems(home=home, **{field: value}) == [sentence]


def test_a_wrong_secret_is_not_repeated_in_the_sentence(home: Path) -> None:
    assert "tooshort" not in "".join(problems(home=home, secret_key="tooshort"))


def test_all_wrong_values_are_told_at_once(home: Path) -> None:
    told = problems(home=home, port="x", default_region="XQ", redis_url="http://h")
    assert [sentence.split()[0] for sentence in told] == [
        "DIALER_PORT",
        "DIALER_REDIS_URL",
        "DIALER_DEFAULT_REGION",
    ]


def test_a_region_may_be_written_in_small_letters(home: Path) -> None:
    assert Settings(home=home, default_region="in").default_region == "IN"


def test_production_needs_a_server_a_database_a_key_and_https_and_says_so_at_once(home: Path) -> None:
    told = problems(home=home, env="production")
    assert [sentence.split()[0] for sentence in told] == [
        "DIALER_DATABASE_URL",
        "DIALER_REDIS_URL",
        "DIALER_SECRET_KEY",
        "DIALER_PUBLIC_URL",
    ]
    assert not home.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("database_url", "sqlite:////srv/dialer.db"),
        ("redis_url", None),
        ("secret_key", None),
        ("public_url", "http://calls.example.com"),
    ],
)
def test_production_refuses_each_shortcut_on_its_own(home: Path, field: str, value: str | None) -> None:
    values = {**GOOD_PRODUCTION, field: value}
    told = problems(home=home, **{name: given for name, given in values.items() if given is not None})
    assert len(told) == 1
    assert told[0].startswith(f"DIALER_{field.upper()} ")


def test_good_production_settings_are_taken(home: Path) -> None:
    settings = Settings(home=home, **GOOD_PRODUCTION)
    assert settings.is_production
    assert settings.broker_url == "redis://cache:6379/0"
    assert settings.secret_keys() == ["a-long-enough-passphrase"]


def test_a_private_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(SettingsError, match="belongs to another user"):
        private_folder(tmp_path)
