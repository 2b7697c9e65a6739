"""A file from one of its mirrors, within bounds of size and time."""

import logging
import time
from collections.abc import Callable, Sequence

from ..errors import DataError

CONNECT_SECONDS, SILENCE_SECONDS = 5, 20  # until a mirror that does not answer is given up
LIMIT_SECONDS = 600  # for one file, and longer if it may have more than
BYTES_PER_SECOND = 2**18  # on a slow line
CHUNK_BYTES = 2**16


def download(
    name: str, mirrors: Sequence[str], most_bytes: int, check: Callable[[bytes], object]
) -> bytes:
    """The content of a file, from the first mirror that has the right one.

    mirrors: addresses to which the name is added. check: raises DataError for other content than
    the file's. Raises DataError if no mirror works, naming each with its reason.
    """
    import requests

    logging.getLogger("nbconv").warning("Downloading %s ...", name)
    reasons = []
    for mirror in mirrors:
        try:
            content = _fetch(mirror + name, most_bytes)
            check(content)
            return content
        except DataError as error:
            reasons.append(f"{mirror}: {error}")
        except requests.RequestException as error:
            reasons.append(f"{mirror}: {type(error).__name__}")
    raise DataError("; ".join(reasons))


def _fetch(address: str, most_bytes: int) -> bytes:
    """What is at an address. Raises DataError if that is too much or takes too long."""
    import requests

    limit = LIMIT_SECONDS + most_bytes / BYTES_PER_SECOND
    end = time.monotonic() + limit
    content = bytearray()
    timeouts = CONNECT_SECONDS, SILENCE_SECONDS
    with requests.get(address, timeout=timeouts, stream=True) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_content(CHUNK_BYTES):
            content += chunk
            if len(content) > most_bytes:
                raise DataError(f"more than {most_bytes} bytes came")
            if time.monotonic() > end:
                raise DataError(f"not there after {limit:.0f} s")
    return bytes(content)
