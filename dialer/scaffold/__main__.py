"""`python -m dialer.scaffold KIND`: the files of a new kind of provider, in this tree."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from dialer.scaffold.write import TABLES, ScaffoldError, write


def main() -> None:
    """Write them, and say what is to be done next."""
    parser = argparse.ArgumentParser(prog="python -m dialer.scaffold", description=__doc__)
    parser.add_argument("kind", metavar="KIND", help="its name, such as acme-voice")
    parser.add_argument(
        "--root", type=Path, default=Path.cwd(), help="the project's folder, this one unless given"
    )
    given = parser.parse_args()
    try:
        changed = write(given.root, given.kind)
    except ScaffoldError as error:
        parser.error(str(error))
    code = [str(path.resolve()) for path in changed if path.suffix == ".py"]
    for page, module in TABLES.items():  # in processes of their own, which find the new adapter
        _run(given.root, module, str((given.root / page).resolve()))
    sorted_ = _run(given.root, "ruff", "check", "--fix", "--quiet", "--select=I", *code)
    tidied = _run(given.root, "ruff", "format", "--quiet", *code) and sorted_
    for path in dict.fromkeys([*changed, *(given.root / page for page in TABLES)]):
        sys.stdout.write(f"{path.relative_to(given.root)}\n")
    module = given.kind.replace("-", "_")
    sys.stderr.write(
        f"{'' if tidied else 'Run `make format` first: ruff is not installed here. '}"
        f"Everything runs by an invented document. Put the provider's own words where TODO stands, then:\n"
        f"  pytest -k '{given.kind} or {module}' tests/unit/test_{module}.py tests/integration/test_contract_*.py\n"
    )


def _run(root: Path, *module_and_arguments: str) -> bool:
    """Whether a module could do it."""
    command = [sys.executable, "-m", *module_and_arguments]
    return subprocess.run(command, cwd=root, check=False, capture_output=True).returncode == 0  # noqa: S603


if __name__ == "__main__":
    main()
