"""A new kind of provider begins with files that lint, type check and hold the contract as they are written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dialer.scaffold.write import KINDS, ScaffoldError, class_of, write

ROOT = Path(__file__).parents[2]
KIND, MODULE = "eighth-voice", "eighth_voice"
WITHIN = 170.0  # seconds; a deadline, not an expectation
NEW = [
    f"dialer/providers/{MODULE}.py",
    f"dialer/sandbox/{MODULE}.py",
    f"tests/integration/contract/{MODULE}.py",
    f"tests/unit/test_{MODULE}.py",
]
CHANGED = ["dialer/providers/kinds.py", "dialer/sandbox/app.py"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project once more, with what mypy knows of it already."""
    root = tmp_path_factory.mktemp("tree")
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in ("dialer", "workers", "migrations", "tests", "docs", ".mypy_cache"):
        if (ROOT / folder).exists():
            shutil.copytree(ROOT / folder, root / folder, ignore=skipped)
    for file in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, root / file)
    return root


def run(tree: Path, *module_and_arguments: str) -> str:
    """What a module prints, which must succeed; the copy is found before the original."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *module_and_arguments],
        cwd=tree, env=environment, capture_output=True, text=True, timeout=WITHIN, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def scaffolded(tree: Path) -> Path:
    """The copy with one more kind."""
    written = run(tree, "dialer.scaffold", KIND).splitlines()
    assert sorted(written) == sorted([*NEW, *CHANGED, "docs/providers.md", "docs/reconciliation.md"])
    return tree


def test_what_is_written_is_in_format_and_lints(scaffolded: Path) -> None:
    run(scaffolded, "ruff", "format", "--check", *NEW, *CHANGED)
    run(scaffolded, "ruff", "check", *NEW, *CHANGED)


def test_what_is_written_type_checks(scaffolded: Path) -> None:
    run(scaffolded, "mypy", "dialer/sandbox/app.py", *NEW[:2])


def test_what_is_written_holds_the_contract(scaffolded: Path) -> None:
    suite = [str(path.relative_to(ROOT)) for path in ROOT.glob("tests/integration/test_contract_*.py")]
    told = run(
        scaffolded, "pytest", "-q", "-p", "no:cacheprovider", "-k", f"{KIND} or {MODULE} or page",
        f"tests/unit/test_{MODULE}.py", "tests/unit/test_matrix.py", "tests/unit/test_lookups.py", *suite,
    )  # fmt: skip
    assert re.search(r"\b1[0-9]{2} passed", told), told[-500:]  # it was asked for, and so was all the rest


@pytest.mark.parametrize(
    "kind", ["", "Acme", "acme_voice", "-acme", "acme--voice", "1acme", "a" * 33, "../acme"]
)
def test_a_name_that_is_none_is_refused(kind: str) -> None:
    with pytest.raises(ScaffoldError, match="small letters"):
        write(ROOT, kind)


def test_a_kind_that_there_is_stays_as_it_is() -> None:
    before = (ROOT / KINDS).read_text(encoding="utf-8")
    with pytest.raises(ScaffoldError, match=r"There is a dialer/providers/mitto\.py already"):
        write(ROOT, "mitto")
    assert (ROOT / KINDS).read_text(encoding="utf-8") == before


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScaffoldError, match="--root"):
        write(tmp_path, KIND)
    assert list(tmp_path.iterdir()) == []


def test_classes_are_called_after_their_kind() -> None:
    assert [class_of(kind) for kind in ("acme", "acme-voice", "b2-c")] == ["Acme", "AcmeVoice", "B2C"]
