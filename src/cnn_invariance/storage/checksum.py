"""A checksum of a file inside the file itself, over each of its bytes.

The writer puts `BLANK` behind the name ``content_sha256``; `close` replaces it by the SHA-256 of the
bytes with the blank in place. `is_whole` puts the blank back and compares. So a single changed bit
is found before anything in the file is decoded.
"""

import hashlib
import re

NAME = "content_sha256"
BLANK = "0" * 64

# Between the name and the digits: '": "' in JSON, a type and a length in the footer of Parquet.
_PLACE = re.compile(NAME.encode() + rb".{2,4}?([0-9a-f]{64})", re.DOTALL)


def close(content: bytes) -> bytes:
    """The content with its one blank replaced by its checksum."""
    (place,) = _PLACE.finditer(content)
    if place[1].decode() != BLANK:
        raise ValueError("the content is sealed already")
    return _replaced(content, place, _digest(content))


def is_whole(content: bytes) -> bool:
    """Whether the content has one checksum, and it is that of the content."""
    places = list(_PLACE.finditer(content))
    if len(places) != 1:
        return False
    return places[0][1] == _digest(_replaced(content, places[0], BLANK.encode()))


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _replaced(content: bytes, place: re.Match[bytes], digits: bytes) -> bytes:
    return content[: place.start(1)] + digits + content[place.end(1) :]
