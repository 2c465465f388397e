"""Files that come into place together: all of them or, whatever happens, none that counts.

They are written below ``.import`` folders beside their places and checked there. Then a journal is written, by one
rename, and from that moment the import counts: the files are moved into place, and if the process is killed meanwhile,
the next command moves the others. Without a journal, the next command deletes what was staged.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cnn_invariance.errors import InputError
from cnn_invariance.storage.files import read_plain, sync, write_whole
from cnn_invariance.storage.locks import is_free, locked
from cnn_invariance.workflow.folders import Folders

RUNNING = ("an import into this folder", "wait for its end")


@dataclass(frozen=True)
class Staging:
    """The files of one import: results below ``root``, weights below ``models``; each has a name with slashes."""

    root: Path
    models: Path

    @classmethod
    def of(cls, folders: Folders, preset: str) -> "Staging":
        """Where the import into a preset stages its files."""
        return cls(folders.cells(preset).root, folders.models)

    def target(self, name: str) -> Path:
        """The place of a file; ``weights/`` is the folder of checkpoints."""
        folder, _, rest = name.partition("/")
        return self.models / rest if folder == "weights" else self.root / name

    def staged(self, name: str) -> Path:
        """Where the file lies before it comes into place, on the same disk."""
        folder, _, rest = name.partition("/")
        return self._beside_weights / rest if folder == "weights" else self._beside_results / name

    @property
    def lock(self) -> Path:
        """The file of the lock that an import holds."""
        return self.root / ".import.lock"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the import (InputError if another one runs); what a killed one left is finished or deleted.

        At the end, whatever it is, nothing is staged any more.
        """
        with locked(self.lock, *RUNNING):
            self._recover()
            try:
                yield
            finally:
                self._recover()

    def recover(self) -> None:
        """Finish or delete what a killed import left; one that runs is left alone."""
        left = (self.lock, self._journal, self._beside_results, self._beside_weights)
        if any(path.exists() for path in left) and is_free(self.lock):
            with locked(self.lock, *RUNNING):
                self._recover()

    def commit(self, names: list[str], moved: Callable[[str], None] = lambda name: None) -> None:
        """Bring the staged files of these names into place, together.

        moved: called after each
        """
        for name in names:
            sync(self.staged(name))
        content = {"models": os.path.relpath(self.models, self.root), "names": names}
        write_whole(self._journal, json.dumps(content))
        self._finish(names, moved)

    def _recover(self) -> None:
        if self._journal.is_file():
            there, names = self._read()
            there._finish(names)
            shutil.rmtree(there._beside_weights, ignore_errors=True)
        for folder in (self._beside_results, self._beside_weights):
            shutil.rmtree(folder, ignore_errors=True)
        unfinished = f".{self._journal.stem}-*{self._journal.suffix}"  # journals that were not written to their end
        for temporary in self.root.glob(unfinished):
            temporary.unlink(missing_ok=True)

    def _finish(self, names: list[str], moved: Callable[[str], None] = lambda name: None) -> None:
        """Move what is still staged; a file that came into its place meanwhile stays. Then the journal is over."""
        for name in names:
            staged, target = self.staged(name), self.target(name)
            if staged.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    staged.replace(target)
                    moved(name)
        for folder in {self.target(name).parent for name in names}:
            sync(folder)
        self._journal.unlink(missing_ok=True)

    def _read(self) -> tuple["Staging", list[str]]:
        """The import of the journal and its files; its checkpoints may have another folder than this command's."""
        try:
            content = json.loads(read_plain(self._journal))
            names = [str(name) for name in content["names"]]
            if any(".." in PurePosixPath(name).parts or name.startswith("/") for name in names):
                raise ValueError("a name that leads elsewhere")
            return Staging(self.root, self.root / content["models"]), names
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self._journal}: expected the journal of an import; delete it and import again"
            ) from error

    @property
    def _journal(self) -> Path:
        return self.root / ".import.json"

    @property
    def _beside_results(self) -> Path:
        return self.root / ".import"

    @property
    def _beside_weights(self) -> Path:
        return self.models / f".import-{self.root.name}"
