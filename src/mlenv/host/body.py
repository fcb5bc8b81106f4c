"""The body of an answer: up to a limit of bytes, no slower than a modem, and never half of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

    from mlenv.errors import HostError

_PATIENCE_SECONDS = 5.0
_SLOWEST = 4096
"""Bytes a second, after the patience."""
_PIECE_BYTES = 1 << 18


def pieces(
    answer: requests.Response,
    limit: int,
    failed: Callable[[str], HostError],
    *,
    decoded: bool = True,
) -> Iterator[bytes]:
    """Yield the body as it comes.

    Args:
        answer: of a request that streams.
        limit: the most bytes.
        failed: a cause -> what is raised where the body is longer, or drips.
        decoded: whether a Content-Encoding is undone.

    Raises:
        HostError: what ``failed`` returns.
        requests.RequestException: the connection broke off, or the encoding is none.
    """
    from requests import exceptions  # noqa: PLC0415 (whoever has an answer has it)
    from urllib3.exceptions import DecodeError, HTTPError  # noqa: PLC0415

    total, began = 0, time.monotonic()
    while True:
        try:
            # Not `stream`, which waits until a piece is full, however slowly it fills.
            piece = answer.raw.read1(_PIECE_BYTES, decode_content=decoded)
        except DecodeError as error:
            raise exceptions.ContentDecodingError(error) from error
        except HTTPError as error:
            raise exceptions.ConnectionError(error) from error
        if not piece:
            break
        total += len(piece)
        if total < (time.monotonic() - began - _PATIENCE_SECONDS) * _SLOWEST:
            raise failed(f"it answers with less than {_SLOWEST} bytes a second")
        if total > limit:
            raise failed(f"it answered with more than {limit} bytes")
        yield piece
    left = answer.raw.length_remaining
    if left:
        raise exceptions.ConnectionError(ConnectionResetError(f"{left} bytes did not come"))
