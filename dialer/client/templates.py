"""`client.templates`: texts that are read out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

from dialer.client.answers import MadeTemplate
from dialer.client.bodies import NewTemplate, Rejection
from dialer.client.group import PAGE_SIZE, Group
from dialer.client.parts import TemplateState


class Templates(Group):
    """Templates."""

    def create(self, **template: Unpack[NewTemplate]) -> MadeTemplate:
        """Make a template."""
        return self._post(MadeTemplate, "templates", body=template)

    def list(
        self, *, state: TemplateState | None = None, page_size: int = PAGE_SIZE
    ) -> Iterator[MadeTemplate]:
        """All templates; `state`: only those in it."""
        return self._pages(MadeTemplate, "templates", page_size=page_size, params={"state": state})

    def get(self, template_id: str, /) -> MadeTemplate:
        """A template."""
        return self._get(MadeTemplate, "templates", template_id)

    def remove(self, template_id: str, /) -> None:
        """Remove a template."""
        self._delete("templates", template_id)

    def approve(self, template_id: str, /) -> MadeTemplate:
        """Let a template be used."""
        return self._post(MadeTemplate, "templates", template_id, "approve")

    def reject(self, template_id: str, /, **rejection: Unpack[Rejection]) -> MadeTemplate:
        """Let a template not be used."""
        return self._post(MadeTemplate, "templates", template_id, "reject", body=rejection)
