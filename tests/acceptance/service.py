"""A whole installation in processes of its own, used as its users use it: command line, HTTP API, played provider."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import command_line
import httpx
import psutil
import secrecy
import sqlalchemy as sa
from redis import Redis, RedisError
from sqlalchemy import Engine

from dialer import tether
from dialer.db import make_engine, reading
from dialer.embedded import find_server
from dialer.settings import socket_path
from dialer.store.tables import event

WITHIN = 60.0  # seconds; a deadline, not an expectation
CALLER_ID = "12025550100"
CALLBACK_LOGIN = ("mitto", "callback-password-of-the-test")
ACCESS_KEY = "access-key-of-the-test-7b1f"

T = TypeVar("T")


def wait_for(what: str, ask: Callable[[], T | None], within: float = WITHIN, every: float = 0.05) -> T:
    """The first answer of `ask` that is true; fails with `what` when none comes within `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}"
        time.sleep(every)


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class OwnRedis:
    """A Redis-compatible server of the test's own, on a TCP port, that may be stopped, started and flushed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        (self.port,) = free_ports(1)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            str(find_server()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder),
            "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=tether.preexec(signal.SIGKILL),  # noqa: PLW1509 - one prctl call, no lock taken
        )
        wait_for("the Redis server answers", self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with Redis.from_url(self.url, retry=None) as client:
                return bool(client.ping())
        except RedisError:
            return False


class Service:
    """One installation: its processes, its account and provider, its sandbox with a log file of its own.

    `settings` are `DIALER_…` variables. Every process it starts, and their children, work in the folder of its logs;
    `close` stops them and fails when one is left.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.home = folder / "home"
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True)
        self.sandbox_log = folder / "sandbox.jsonl"
        self.api_port, self.flower_port, self.sandbox_port = free_ports(3)
        self.api_url = f"http://127.0.0.1:{self.api_port}"
        self.flower_url = f"http://127.0.0.1:{self.flower_port}"
        self.sandbox_url = f"http://127.0.0.1:{self.sandbox_port}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("DIALER_")}
        self.env = clean | {
            "DIALER_HOME": str(self.home),
            "DIALER_PORT": str(self.api_port),
            "DIALER_FLOWER_PORT": str(self.flower_port),
            "DIALER_RECONCILE_AFTER": "5",
            **settings,
        }
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        #: What must not be in any log: numbers without the plus, keys, tokens.
        self.secrets: set[str] = set()
        self.account = self.auth = ""
        self.upstream = httpx.Client(base_url=self.api_url, timeout=30, trust_env=False)
        #: The Redis server, when the installation does not run it itself and nobody else uses it.
        self.redis: OwnRedis | None = None
        self._engine: Engine | None = None

    # --- processes ------------------------------------------------------------------------------------------

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """`dialer …` as a process called `name`; what it prints goes to a log file of that name."""
        assert name not in self.running
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "dialer", *arguments],
                env=self.env,
                cwd=self.logs,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=tether.preexec(signal.SIGTERM),  # noqa: PLW1509 - one prctl call, no lock taken
            )
        return self.running[name]

    def start_up(self, *arguments: str, flower: bool = False, workers: int = 1) -> None:
        """`dialer up`, ready."""
        self.launch_up(*arguments, flower=flower, workers=workers)
        wait_for("`dialer up` is ready", self.is_up)

    def launch_up(self, *arguments: str, flower: bool = False, workers: int = 1) -> None:
        """`dialer up`, not waited for."""
        extra = [] if flower else ["--no-flower"]
        self.start("up", "up", f"--workers={workers}", *extra, *arguments)

    def is_up(self) -> bool:
        process = self.running["up"]
        assert process.poll() is None, f"`dialer up` ended:\n{self.last_words('up')}"
        report = self.report()
        return report.get("pid") == process.pid and bool(report["ready"])

    def is_ready(self) -> bool:
        """Whether `/readyz` says so."""
        return answers(f"{self.api_url}/readyz")

    def report(self) -> dict[str, Any]:
        """`up.json`: which child of `dialer up` is which process."""
        try:
            found: dict[str, Any] = json.loads((self.home / "run" / "up.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found

    def send(self, name: str, number: signal.Signals) -> None:
        self.running[name].send_signal(number)

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM, within: float = WITHIN) -> int:
        """Ends a process and waits for it; its exit code."""
        self.send(name, number)
        return self._bury(name, within)

    def _bury(self, name: str, within: float = WITHIN) -> int:
        process = self.running.pop(name)
        try:
            return process.wait(within)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(
                f"{name} was not gone {within:g} s after its signal:\n{self.last_words(name)}"
            ) from None

    def kill_child(self, name: str) -> None:
        """Kill one child of `up` and all of its own, and wait until it is there again, and the API answers."""
        before = self.report()["children"][name]
        killed = psutil.Process(before)
        for process in [*killed.children(recursive=True), killed]:
            process.kill()
        wait_for(
            f"another {name}",
            lambda: self.report().get("children", {}).get(name) not in (None, before) or None,
        )
        wait_for("the API answers", lambda: self.is_ready() or None)

    def processes(self) -> list[psutil.Process]:
        """Every living process of this installation."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                # Titles are written over environments, so those do not tell; the embedded server works elsewhere.
                in_title = str(socket_path(self.home)) in " ".join(process.cmdline())
                ours = in_title or process.cwd() == str(self.logs)
                if ours and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def last_words(self, name: str) -> str:
        log = self.logs / f"{name}.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-40:]) if log.exists() else ""

    def close(self) -> None:
        """Stops everything; fails when a process is left or when a log says what it must not."""
        problems = []
        self._hear_tasks()
        sandbox = {"sandbox"} & self.running.keys()  # goes last: callbacks can be delivered until then
        for together in (self.running.keys() - sandbox, sandbox):
            for name in together:
                self.send(name, signal.SIGTERM)
            for name in together:
                try:
                    self._bury(name)
                except AssertionError as error:
                    problems.append(str(error))
        self.upstream.close()
        if self._engine is not None:
            self._engine.dispose()
        left = self.processes()
        for process in left:
            with contextlib.suppress(psutil.Error):
                problems.append(f"left running: {process.pid} {process.cmdline()}")
                process.kill()
        secrecy.keep(*self.secrets)
        secrecy.hear_files(self.logs)
        assert not problems, "\n".join(problems)

    def _hear_tasks(self) -> None:
        """What Celery's messages say, and what Flower shows of those that were."""
        with contextlib.suppress(RedisError), self.redis_client() as client:
            for queue in ("otp", "calls", "results", "upkeep", "unacked"):
                kind = client.type(queue)
                waiting = client.lrange(queue, 0, -1) if kind == b"list" else []
                waiting = list(client.hgetall(queue).values()) if kind == b"hash" else waiting
                for message in waiting:
                    secrecy.hear(f"a task in {queue}", _readable(message))
        flower_auth = self.home / "secrets" / "flower_auth"
        if flower_auth.exists():
            user, _, password = flower_auth.read_text().strip().partition(":")
            with contextlib.suppress(httpx.HTTPError):
                tasks = httpx.get(
                    f"{self.flower_url}/api/tasks", auth=(user, password), timeout=5, trust_env=False
                )
                secrecy.hear("Flower's tasks", tasks.text)

    # --- what an operator does ------------------------------------------------------------------------------

    def cli(self, *arguments: str) -> Any:
        """`dialer … ` that must succeed; what it printed on stdout, read as JSON when `--json` was asked."""
        secrets = {"TEST_ACCESS_KEY": ACCESS_KEY, "TEST_CALLBACK_PASSWORD": CALLBACK_LOGIN[1]}
        done = command_line.run(arguments, self.env | secrets, self.logs, WITHIN)
        assert done.exit_code == 0, done.stderr
        with (self.logs / "cli.log").open("a") as log:
            log.write(done.stderr)
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def start_sandbox(self, time_scale: float = 0.01) -> None:
        """The played provider: it outlives what the tests do to the installation."""
        self.start(
            "sandbox", "sandbox", f"--port={self.sandbox_port}", f"--time-scale={time_scale}",
            f"--log={self.sandbox_log}",
        )  # fmt: skip
        wait_for("the sandbox answers", lambda: answers(f"{self.sandbox_url}/sandbox/stats"))

    def settle_in(self, *provider_options: str) -> None:
        """An account and a provider, made on the command line, and our address given to the provider."""
        made = self.cli("account", "create", "acme", "--calling-window=00:00-24:00", "--json")
        self.account, self.auth = made["id"], made["auth"]
        self.upstream.headers.update({"account": self.account, "auth": self.auth})
        provider = self.cli(
            "provider", "add", "north", "--kind=mitto", f"--base-url={self.sandbox_url}/mitto",
            "--set=access_key=env:TEST_ACCESS_KEY", f"--set=callback_user={CALLBACK_LOGIN[0]}",
            "--set=callback_password=env:TEST_CALLBACK_PASSWORD", *provider_options, "--json",
        )  # fmt: skip
        token = provider["webhook_url"].rsplit("/", 1)[1]
        self.secrets |= {self.auth, ACCESS_KEY, CALLBACK_LOGIN[1], token}
        httpx.put(
            f"{self.sandbox_url}/sandbox/callbacks/mitto",
            json={
                "url": provider["webhook_url"],
                "user": CALLBACK_LOGIN[0],
                "password": CALLBACK_LOGIN[1],
            },
            trust_env=False,
        ).raise_for_status()

    # --- what an upstream app does --------------------------------------------------------------------------

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The `response` of a first-generation call that must succeed."""
        answer = self.upstream.post(f"/api/{path}", json=body)
        assert answer.status_code == 200, answer.text
        response: dict[str, Any] = answer.json()["response"]
        assert response["success"] == "true", answer.text
        return response

    def import_contacts(self, numbers: Iterable[str], name: str = "people") -> str:
        """A list of these numbers, by CSV; its id."""
        numbers = list(numbers)
        self.secrets |= {number.lstrip("+") for number in numbers}
        list_id: str = self.post("create_campaign_list", list_name=name)["list_id"]
        rows = [
            {"contact_number": number, "contact_name": f"Person {index}", "amount": str(index)}
            for index, number in enumerate(numbers)
        ]
        self._upload(f"{name}.csv", rows)
        imported = self.post("import_broadcast_contacts_csv", list_id=list_id, csv_name=f"{name}.csv")
        assert f"({len(numbers)})" in imported["message"], imported
        return list_id

    def import_dnd(self, numbers: Iterable[str], name: str = "leave in peace") -> str:
        """A DND list of these numbers, by CSV; its id."""
        numbers = list(numbers)
        self.secrets |= {number.lstrip("+") for number in numbers}
        dnd_list_id: str = self.post("create_campaign_dnd_list", dnd_list_name=name)["dnd_list_id"]
        self._upload(f"{name}.csv", [{"contact_number": number} for number in numbers])
        imported = self.post("import_dnd_contacts_csv", dnd_list_id=dnd_list_id, dnd_csv_name=f"{name}.csv")
        assert f"({len(numbers)})" in imported["message"], imported
        return dnd_list_id

    def start_campaign(self, list_id: str, name: str = "reminder", **more: str) -> str:
        """A campaign that runs from now on; its id."""
        campaign_id: str = self.post("create_campaign", **(self.campaign_body(list_id, name) | more))[
            "campaign_id"
        ]
        return campaign_id

    def campaign_body(self, list_id: str, name: str) -> dict[str, Any]:
        """What is sent to make a campaign that runs from now on."""
        now = datetime.now(UTC)
        return {
            "list_id": list_id,
            "campaign_name": name,
            "campaign_type": "0",
            "campaign_caller_id": CALLER_ID,
            "dynamic_announcement": "1",
            "recorded_filename": "",
            "announcement_text": "Hello {contact_name}, you owe {amount} dollars.",
            "campaign_start_date": f"{now:%Y-%m-%d %H:%M:%S}",
            "campaign_end_date": f"{now + timedelta(days=1):%Y-%m-%d %H:%M:%S}",
            "time_zone": "UTC",
            "repeat": "1",
            "max_retries": "0",
            "retry_time": "1",
        }

    def status_of(self, campaign_id: str) -> str:
        """`campaign_status` as the API shows it; empty while the API is away."""
        try:
            found = self.upstream.get("/api/get_campaign_details").json()["response"]["result"]
        except httpx.TransportError:
            return ""
        return next(str(row["campaign_status"]) for row in found if row["campaign_id"] == campaign_id)

    def wait_finished(self, campaign_id: str, within: float = WITHIN) -> None:
        def finished() -> bool:
            for name, process in self.running.items():
                assert process.poll() is None, f"{name} ended:\n{self.last_words(name)}"
            return self.status_of(campaign_id) == "3"

        try:
            wait_for("the campaign is finished", finished, within, every=0.2)
        except AssertionError as error:
            progress = self.cli("campaign", "show", campaign_id, "--json")
            raise AssertionError(f"{error}; it stands at {progress}") from None

    def wait_heard(self) -> None:
        """Until no callback is on its way any more and every event is consumed."""

        def heard() -> bool:
            stats = httpx.get(f"{self.sandbox_url}/sandbox/stats", trust_env=False).json()
            new = self.rows(sa.select(sa.func.count()).select_from(event).where(event.c.state == "NEW"))
            return not stats["callbacks"]["waiting"] and not new[0][0]

        wait_for("every callback has come and is consumed", heard, within=2 * WITHIN, every=0.3)

    # --- what can be known afterwards -----------------------------------------------------------------------

    def requests(self) -> list[dict[str, Any]]:
        """Every request for a call that reached the provider, in order: the sandbox's log."""
        if not self.sandbox_log.exists():
            return []
        return [json.loads(line) for line in self.sandbox_log.read_text(encoding="utf-8").splitlines()]

    def redis_client(self) -> Redis:
        """A client of the Redis server: ours, or the embedded one."""
        if self.redis is not None:
            return Redis.from_url(self.redis.url)
        return Redis(unix_socket_path=str(socket_path(self.home)))

    def accepted(self) -> int:
        """How many calls the provider took so far."""
        return sum(line["accepted"] for line in self.requests())

    def rows(self, statement: sa.Executable) -> list[Any]:
        """Rows of the tables."""
        if self._engine is None:
            url = self.env.get("DIALER_DATABASE_URL", f"sqlite:///{self.home}/dialer.db")
            self._engine = make_engine(url)
        with reading(self._engine) as connection:
            return list(connection.execute(statement))

    def _upload(self, name: str, rows: list[dict[str, str]]) -> None:
        out = io.StringIO()
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        (self.home / "uploads" / name).write_text(out.getvalue(), encoding="utf-8")


@contextlib.contextmanager
def installation(folder: Path, **settings: str) -> Iterator[Service]:
    """A service with nothing running yet. At the end everything is stopped, and it fails when a process is left or a
    log shows a number, a code or a key."""
    service = Service(folder / "service", settings)
    try:
        yield service
    finally:
        service.close()


@contextlib.contextmanager
def settled(folder: Path, **settings: str) -> Iterator[Service]:
    """The same, and it is up, with an account whose calls the sandbox takes."""
    with installation(folder, **settings) as service:
        service.start_sandbox()
        service.start_up()
        service.settle_in()
        yield service


def _readable(message: bytes) -> str:
    """A Celery message, its body decoded."""
    text = message.decode("utf-8", "replace")
    found = re.search(r'"body": "([A-Za-z0-9+/=]+)"', text)
    return f"{text} {base64.b64decode(found[1]).decode('utf-8', 'replace')}" if found else text


def answers(url: str, status: int = 200) -> bool:
    """Whether a GET of `url` answers with `status` now."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == status
    except httpx.TransportError:
        return False
