"""The entities of an RO-Crate: each is made once, and found again by its id."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cnn_invariance.errors import InputError

FORMATS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
    ".yaml": "application/yaml",
}
"""The media types of files, by their endings."""


class Entities:
    """A crate of RO-Crate 1.1 under way, with the entities in it by their ids.

    terms: those that the context of RO-Crate 1.1 does not have, with their addresses

    Errors: InputError if the package ``rocrate`` is not installed.
    """

    def __init__(self, terms: Mapping[str, str]) -> None:
        try:
            from rocrate.model.contextentity import ContextEntity
            from rocrate.rocrate import ROCrate
        except ModuleNotFoundError:
            raise InputError(
                "a crate is written with the package rocrate, which is not installed; install it: make install-export, "
                "or pip install 'cnn_invariance[export]'"
            ) from None
        self._kind, self.crate = ContextEntity, ROCrate(version="1.1")
        self.crate.metadata.extra_terms.update(terms)
        self._made: dict[str, Any] = {}

    def __getitem__(self, id: str) -> Any:
        """The entity of an id, which is there."""
        return self._made[id]

    def __contains__(self, id: str) -> bool:
        return id in self._made

    def under(self, prefix: str) -> list[Any]:
        """The entities whose ids begin so, in the order in which they were made."""
        return [one for id, one in self._made.items() if id.startswith(prefix)]

    def entity(self, id: str, type: str, **properties: Any) -> Any:
        """The contextual entity of an id, made when it is asked for first."""
        if id not in self._made:
            known = {name: single(value) for name, value in properties.items() if value}
            self._made[id] = self.crate.add(self._kind(self.crate, id, {"@type": type, **known}))
        return self._made[id]

    def value(self, id: str, name: str, property_id: str, value: str, **more: Any) -> Any:
        """A named value, such as a checksum or a time."""
        return self.entity(id, "PropertyValue", name=name, propertyID=property_id, value=value, **more)

    def file(self, place: str, source: Any, content: bytes, name: str) -> Any:
        """The file at a place in the crate, with its size and SHA-256.

        source: a path, or an open text
        """
        if place not in self._made:
            properties = {
                "name": name,
                "encodingFormat": FORMATS[Path(place).suffix],
                "contentSize": str(len(content)),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
            self._made[place] = self.crate.add_file(source, place, properties=properties)
        return self._made[place]

    def folder(self, id: str, description: str) -> list[Any]:
        """The folder of the files below it; none where there are none."""
        files: Sequence[Any] = self.under(id)
        if not files:
            return []
        named = {"name": id.rstrip("/"), "description": description, "hasPart": list(files)}
        self._made[id] = self.crate.add_dataset(dest_path=id, properties=named)
        return [self._made[id]]


def single(value: Any) -> Any:
    """The one value of a list of one, which RO-Crate has without a list.

    >>> single([1]), single([1, 2]), single("a")
    (1, [1, 2], 'a')
    """
    return value[0] if isinstance(value, list) and len(value) == 1 else value
