"""The body of a registry's answer: up to a limit of bytes, and no slower than a modem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlenv.host import body, registry_outage

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

_SMALL_BYTES = 1 << 16


def pieces(answer: requests.Response, limit: int, what: str) -> Iterator[bytes]:
    """Yield the body as it comes, encoded as it is.

    Raises:
        HostError: ``registry-failed``: it is longer than ``limit`` bytes, or drips.
    """
    return body.pieces(
        answer, limit, lambda cause: registry_outage.failed(what, cause), decoded=False
    )


def short(answer: requests.Response, what: str) -> bytes:
    """Return a body that says little, such as an error; of a HEAD there is none."""
    if answer.request.method == "HEAD":
        return b""
    return b"".join(pieces(answer, _SMALL_BYTES, what))
