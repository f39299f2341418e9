"""Options that go together: one parameter of a command, a dataclass, stands for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as Typer can read it, which knows of plain parameters alone: in place of a dataclass it is shown its
    fields, which all have a default, and the command is given the dataclass that is made of them."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if is_dataclass(hint)}
    shown: list[Parameter] = []
    for one in signature(command).parameters.values():
        if one.name in groups:
            of_group = get_type_hints(groups[one.name], include_extras=True)
            shown += [
                Parameter(
                    field.name,
                    Parameter.KEYWORD_ONLY,
                    default=field.default,
                    annotation=of_group[field.name],
                )
                for field in fields(groups[one.name])
            ]
        else:
            annotation = hints[one.name]
            shown.append(one.replace(kind=Parameter.KEYWORD_ONLY, annotation=annotation))

    @wraps(command)
    def run(**given: Any) -> None:
        made = {
            name: group(**{field.name: given.pop(field.name) for field in fields(group)})
            for name, group in groups.items()
        }
        command(**given, **made)

    run.__signature__ = Signature(shown)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in shown}
    return run
