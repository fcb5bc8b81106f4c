"""Documents as YAML that a person can read: scripts stand as blocks, keys in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as a block."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 (the library's port)
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        style = "|" if "\n" in data else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


def yaml_text(documents: Sequence[dict[str, Any]], command: str) -> str:
    """Return documents as a file that says which command wrote it."""
    head = f"# Written by `{command}`; do not edit.\n"
    text = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=1000)
    return head + text
