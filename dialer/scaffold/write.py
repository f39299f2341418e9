"""Writes the files of a new kind of provider, and names it where kinds are named."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

#: What stands in a kind's name in all places: files, classes, paths of URLs.
_KIND = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
LONGEST = 32

#: Templates, and where each goes.
FILES: Mapping[str, str] = {
    "adapter": "dialer/providers/{module}.py",
    "sandbox": "dialer/sandbox/{module}.py",
    "case": "tests/integration/contract/{module}.py",
    "unit": "tests/unit/test_{module}.py",
}
KINDS, APP, PAGE = Path("dialer/providers/kinds.py"), Path("dialer/sandbox/app.py"), Path("docs/providers.md")
#: Pages with a table of all kinds, and the modules that write it.
TABLES: Mapping[Path, str] = {
    PAGE: "dialer.providers.matrix",
    Path("docs/reconciliation.md"): "dialer.providers.reconciliation",
}


class ScaffoldError(Exception):
    """It cannot be done; the message is one sentence with the mend."""


def write(root: Path, kind: str) -> list[Path]:
    """Write the files of `kind` below `root` and name it in those that list kinds; all paths that were touched.

    Raises ScaffoldError, before anything is written.
    """
    if not _KIND.fullmatch(kind) or len(kind) > LONGEST:
        raise ScaffoldError(
            f"A kind's name has up to {LONGEST} small letters, digits and single dashes: acme-voice."
        )
    module = kind.replace("-", "_")
    new = {root / path.format(module=module): _filled(name, kind) for name, path in FILES.items()}
    for path in new:
        if path.exists():
            raise ScaffoldError(f"There is a {path.relative_to(root)} already: choose another name.")
    edits: Mapping[Path, Callable[[str, str], str]] = {KINDS: with_kind, APP: with_route, PAGE: with_section}
    try:
        old = {
            root / path: edit((root / path).read_text(encoding="utf-8"), kind) for path, edit in edits.items()
        }
    except OSError as error:
        raise ScaffoldError(
            f"{root} is not the project's folder ({error.strerror}): name it with --root."
        ) from None
    for path, text in {**new, **old}.items():
        path.write_text(text, encoding="utf-8")
    return [*new, *old]


def class_of(kind: str) -> str:
    """`acme-voice` as a class's name: `AcmeVoice`."""
    return "".join(part.capitalize() for part in kind.split("-"))


def with_kind(text: str, kind: str) -> str:
    """`kinds.py` with the kind among the others."""
    line = f'    "{kind}": "dialer.providers.{kind.replace("-", "_")}:{class_of(kind)}Adapter",\n'
    return _with_line(text, line, r'    "[a-z0-9-]+": "dialer\.providers\.[a-z0-9_.]+:\w+",\n')


def with_route(text: str, kind: str) -> str:
    """The sandbox's server with the kind played at `/<kind>`."""
    name = class_of(kind)
    line = f"from dialer.sandbox.{kind.replace('-', '_')} import {name}\n"
    text = _with_line(text, line, r"from dialer\.sandbox\.\w+ import [^\n]+\n")
    route = f'            Mount("/{kind}", routes={name}(call_log, callbacks, access_key).routes()),\n'
    text = _after(text, r"        routes=\[\n", route)
    return _after(text, r"^PROVIDERS = \(\s*", f'"{kind}", ')


def with_section(text: str, kind: str) -> str:
    """The page of providers with a section for the kind."""
    return text.rstrip("\n") + "\n" + _filled("docs", kind)


def _filled(name: str, kind: str) -> str:
    template = resources.files("dialer.scaffold").joinpath(f"{name}.txt").read_text(encoding="utf-8")
    words = {"@KIND@": kind, "@MODULE@": kind.replace("-", "_"), "@CLASS@": class_of(kind)}
    for word, value in words.items():
        template = template.replace(word, value)
    return template


def _with_line(text: str, line: str, like: str) -> str:
    """`text` with a line among those like it, in their order."""
    found = list(re.finditer(like, text))
    if not found:
        raise ScaffoldError("The project is not as this scaffold knows it: name the kind by hand.")
    place = next((one.start() for one in found if one.group() > line), found[-1].end())
    return text[:place] + line + text[place:]


def _after(text: str, pattern: str, addition: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise ScaffoldError("The project is not as this scaffold knows it: name the kind by hand.")
    return text[: found.end()] + addition + text[found.end() :]
