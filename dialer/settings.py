"""Settings from the environment (`DIALER_…`), an `.env` file, or files in a secrets folder.

`docs/settings.md` describes every variable. What is wrong is told as one sentence per variable, all at once.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import secrets
import stat
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)

PREFIX = "DIALER_"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"

#: A unix socket's path holds at most 104 bytes on macOS and 108 on Linux.
MAX_SOCKET_PATH = 100
MIN_SECRET_KEY = 16

_BROKERS = ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps", "pyamqp")


class SettingsError(Exception):
    """Settings that cannot be used. `problems` holds one sentence each: the variable and the mend."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """All settings of one installation. Made of the environment by `get_settings()`; tests pass keywords.

    Raises `SettingsError` with every problem found. Times are seconds. Creates `home` (0700).
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    env: Literal["development", "production"] = "development"
    home: Path = Field(default=Path("~/.local/share/dialer"), validate_default=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    flower_port: Annotated[int, Field(ge=0, le=65535)] = 5555
    public_url: str = Field(default_factory=lambda data: f"http://127.0.0.1:{data['port']}")

    # Not in the repr: they may hold passwords.
    database_url: str = Field(default_factory=lambda data: f"sqlite:///{data['home']}/dialer.db", repr=False)
    redis_url: str = Field(
        default_factory=lambda data: f"unix://{quote(str(socket_path(data['home'])))}", repr=False
    )
    broker_url: str = Field(default_factory=lambda data: data["redis_url"], repr=False)

    secret_key: SecretStr | None = None
    flower_auth: SecretStr | None = None

    uploads: str = Field(default_factory=lambda data: str(data["home"] / "uploads"))
    default_region: str | None = None
    stop_words: str = "STOP,STOPALL,UNSUBSCRIBE,QUIT,СТОП,ОТПИСКА,ОТПИСАТЬСЯ"

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    reconcile_after: Annotated[float, Field(gt=0)] | None = None
    scheduler_interval: Annotated[float, Field(gt=0)] = 0.1
    import_inline_bytes: Annotated[int, Field(ge=0)] = 1_000_000
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    wrong_keys_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 60
    trusted_proxies: str | None = None
    api_statement_seconds: Annotated[float, Field(gt=0, le=3600)] = 20
    upload_max_bytes: Annotated[int, Field(ge=1)] = 500_000_000
    account_upload_bytes: Annotated[int, Field(ge=1)] = 10_000_000_000
    keep_rejected_rows_days: Annotated[int, Field(ge=1, le=36_500)] = 90
    keep_events_days: Annotated[int, Field(ge=2, le=36_500)] | None = None
    keep_history_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    keep_verifications_days: Annotated[int, Field(ge=31, le=36_500)] | None = None
    worker_in_flight: Annotated[int, Field(ge=1)] = 200
    webhook_allow_private: bool = False

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError(_sentences(error)) from None

    @property
    def is_production(self) -> bool:
        """Whether the strict rules hold."""
        return self.env == "production"

    @property
    def is_embedded_redis(self) -> bool:
        """Whether `dialer` itself starts the Redis-compatible server."""
        return "redis_url" not in self.model_fields_set

    @property
    def embedded_socket(self) -> Path:
        """Where the embedded server listens."""
        return socket_path(self.home)

    def secret_keys(self) -> list[str]:
        """The keys of `SecretBox`, newest first; made once and kept in the home when none is set."""
        if self.secret_key is not None:
            return _split_keys(self.secret_key)
        return [_kept_secret(self.home, "secret_key", lambda: secrets.token_urlsafe(32))]

    def flower_login(self) -> str:
        """`user:password` of Flower; made once and kept in the home; production needs it set."""
        if self.flower_auth is not None:
            return self.flower_auth.get_secret_value()
        if self.is_production:
            raise SettingsError([f"{PREFIX}FLOWER_AUTH is not set: give Flower a login, user:password."])
        return _kept_secret(self.home, "flower_auth", lambda: f"dialer:{secrets.token_urlsafe(12)}")

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return Path(os.path.abspath(value.expanduser()))

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(
                "must be the address that providers reach us at, such as https://calls.example.com"
            )
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        if scheme in {"postgres", "postgresql"}:
            return f"postgresql+psycopg://{rest}"
        if scheme.partition("+")[0] not in {"postgresql", "sqlite"} or "://" not in value:
            raise ValueError("must begin with postgresql+psycopg:// or sqlite:///")
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_redis(cls, value: str) -> str:
        if value.partition("://")[0] not in {"redis", "rediss", "unix"}:
            raise ValueError(
                "must begin with redis://, rediss:// or unix:// (Valkey is reached with these, too)"
            )
        return value

    @field_validator("broker_url")
    @classmethod
    def _known_broker(cls, value: str) -> str:
        if value.startswith("unix://"):
            return _socket_url_for_celery(value)
        if value.partition("://")[0] not in _BROKERS:
            raise ValueError("must begin with redis://, rediss://, redis+socket://, amqp:// or amqps://")
        return value

    @field_validator("secret_key")
    @classmethod
    def _long_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            keys = _split_keys(value)
            if not keys or min(map(len, keys)) < MIN_SECRET_KEY:
                raise ValueError(f"needs at least {MIN_SECRET_KEY} characters in every comma-separated key")
        return value

    @field_validator("flower_auth")
    @classmethod
    def _user_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            user, colon, password = value.get_secret_value().partition(":")
            if not (user and colon and password):
                raise ValueError("must be user:password")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _known_networks(cls, value: str | None) -> str | None:
        if value is None or value.strip() == "*":
            return value and value.strip()
        try:
            return ",".join(str(ipaddress.ip_network(one.strip())) for one in value.split(","))
        except ValueError:
            raise ValueError(
                "must be addresses or networks of proxies, comma separated, such as 10.0.0.0/8, or * for every one"
            ) from None

    @field_validator("default_region")
    @classmethod
    def _known_region(cls, value: str | None) -> str | None:
        if value is None:
            return None
        from phonenumbers import SUPPORTED_REGIONS  # noqa: PLC0415 - 60 ms that most commands need not spend

        if value.upper() not in SUPPORTED_REGIONS:
            raise ValueError("must be a country of two letters, such as IN or GB")
        return value.upper()

    def model_post_init(self, context: Any, /) -> None:
        """Refuses what production forbids, then makes the home."""
        problems = production_problems(self) if self.is_production else []
        if problems:
            raise SettingsError(problems)
        private_folder(self.home, variable=f"{PREFIX}HOME")
        if "uploads" not in self.model_fields_set:
            Path(self.uploads).mkdir(mode=0o700, exist_ok=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keywords, then the environment, then `.env`, then the secrets folder named by the environment."""
        folder = os.environ.get(SECRETS_DIR)
        if not folder:
            return init_settings, env_settings, dotenv_settings
        if not Path(folder).is_dir():
            raise SettingsError(
                [f"{SECRETS_DIR} names {folder}, which is not a folder: make it or unset it."]
            )
        return init_settings, env_settings, dotenv_settings, SecretsSettingsSource(settings_cls, folder)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once; `get_settings.cache_clear()` reads them anew."""
    return Settings()


def production_problems(settings: Settings) -> list[str]:
    """What forbids these settings in production, one sentence each."""
    problems = []
    if settings.database_url.startswith("sqlite"):
        problems.append(
            f"{PREFIX}DATABASE_URL is SQLite, which production mode refuses: set it to a PostgreSQL URL, "
            "postgresql+psycopg://user:password@host/name."
        )
    if settings.is_embedded_redis:
        problems.append(
            f"{PREFIX}REDIS_URL is not set, and production mode refuses the embedded server: set it to "
            "your Redis or Valkey, redis://host:6379/0."
        )
    if settings.secret_key is None:
        problems.append(
            f"{PREFIX}SECRET_KEY is not set, and production mode refuses a generated one: set it to a random "
            "text, such as the output of `openssl rand -base64 32`."
        )
    if not settings.public_url.startswith("https://"):
        problems.append(
            f"{PREFIX}PUBLIC_URL is not an https address, which production mode needs since providers send "
            "call results to it: set it to https://your.host."
        )
    return problems


def socket_path(home: Path) -> Path:
    """The embedded server's socket: below the home, or in the temporary folder when that path is too long."""
    below_home = home / "run" / "redis.sock"
    if len(os.fsencode(below_home)) < MAX_SOCKET_PATH:
        return below_home
    key = hashlib.sha256(f"{os.getuid()}:{home}".encode()).hexdigest()[:16]
    elsewhere = Path(tempfile.gettempdir()) / f"dialer-{key}" / "redis.sock"
    if len(os.fsencode(elsewhere)) < MAX_SOCKET_PATH:
        return elsewhere
    return Path("/tmp") / f"dialer-{key}" / "redis.sock"  # noqa: S108 - `private_folder` checks its owner


def private_folder(folder: Path, variable: str = "") -> Path:
    """Makes `folder` readable to its owner only (0700) and returns it.

    `SettingsError` when it belongs to somebody else, or holds other things and is open to others: it is not
    closed behind anybody's back.
    """
    subject = f"{variable} names {folder}, which" if variable else f"The folder {folder}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError as error:
        raise SettingsError(
            [f"{subject} cannot be made ({error.strerror}): name another or mend its rights."]
        ) from None
    if found.st_uid != os.getuid():
        raise SettingsError(
            [f"{subject} belongs to another user: name one of your own, such as {folder}/dialer."]
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        if any(folder.iterdir()) and not (folder / "run").is_dir():
            raise SettingsError(
                [
                    f"{subject} is open to other users: `chmod 700` it or name another, such as {folder}/dialer."
                ]
            )
        folder.chmod(0o700)
    return folder


def _kept_secret(home: Path, name: str, make: Callable[[], str]) -> str:
    """The text in `home/secrets/name`; the first of all processes to ask makes it."""
    path = private_folder(home / "secrets") / name
    if not path.exists():
        draft = path.with_name(f".{name}.{os.getpid()}.{secrets.token_hex(4)}")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(make())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # unlike a rename, never replaces what another process has just made
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def _split_keys(value: SecretStr) -> list[str]:
    return [key.strip() for key in value.get_secret_value().split(",") if key.strip()]


def _socket_url_for_celery(url: str) -> str:
    parts = urlsplit(url)
    database = dict(pair.partition("=")[::2] for pair in parts.query.split("&")).get("db")
    return f"redis+socket://{quote(unquote(parts.path))}" + (f"?virtual_host={database}" if database else "")


def _sentences(error: ValidationError) -> list[str]:
    """One sentence per wrong variable. Values are left out: they may be secret."""
    sentences = []
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        if problem["type"] == "default_factory_not_called":
            continue  # only follows from another problem in the list
        what = problem["msg"].removeprefix("Value error, ")
        what = what if what.startswith(("must", "needs")) else f"is not valid: {what[0].lower()}{what[1:]}"
        sentences.append(f"{PREFIX}{str(problem['loc'][0]).upper()} {what}.")
    return sentences
