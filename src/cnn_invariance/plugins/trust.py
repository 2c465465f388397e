"""Which code of a user's own may be run: the code that a preset names is run by few commands, and not from everywhere.

A preset is data, and may come from anybody. It can name code in a file or an installed package, and running that code
is as dangerous as starting a program. So each command says, before it reads a preset, what it may run:

- `nothing`: what plans, checks and reads. No reference is imported.
- `Trust`: what computes and draws. A file is run if it lies in the folder of the preset, in a folder below it, or in a
  folder that the user trusts; a package is imported if the user trusts it.
- `anything`: where the user names the code in the command itself, or calls the package from a program. This is also
  what holds outside of commands.

Users trust a package or a folder with the option ``--trust``, or with a line of a file of their own (`own_file`).
Before code of a file or package is run for the first time in a process, a line on standard error says which.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

from cnn_invariance.errors import InputError
from cnn_invariance.storage.paths import expanded

LONGEST = 2**16  # bytes that are read of the user's file


@dataclass(frozen=True)
class Trust:
    """What may be run: files in these folders, and modules of these packages; everything if ``any``."""

    folders: tuple[Path, ...] = ()
    packages: tuple[str, ...] = ()
    any: bool = field(default=False, kw_only=True)
    why_not: str = field(default="", kw_only=True)
    """Why nothing is run, for the error; empty where something may be."""

    @classmethod
    def of(cls, preset: Path | None, named: Iterable[str] = ()) -> "Trust":
        """The trust in what lies beside a preset, in what a user names, and in what the user's own file names.

        named: packages (``my_package``, ``my_package.part``) and folders (with a slash, or ``.`` or ``~`` first)

        Errors: InputError for a text that is neither, and for a file of the user's that cannot be read.
        """
        beside = [] if preset is None else [preset.resolve().parent]
        folders, packages = _read([*named, *_own_lines()])
        return cls((*beside, *folders), tuple(packages))

    def of_file(self, path: Path) -> bool:
        """Whether a file may be run. Links are followed: it counts where the file itself lies."""
        return self.any or any(path.resolve().is_relative_to(folder) for folder in self.folders)

    def of_module(self, name: str) -> bool:
        """Whether a module may be imported: it is a trusted package or a part of one."""
        return self.any or any(name == one or name.startswith(f"{one}.") for one in self.packages)


_in_force = Trust(any=True)
_told: set[tuple[str, str]] = set()


@contextmanager
def only(trust: Trust) -> Iterator[None]:
    """Let no other code be run than what is trusted, until the end of the block."""
    global _in_force
    before, _in_force = _in_force, trust
    try:
        yield
    finally:
        _in_force = before


def now(trust: Trust) -> None:
    """Replace the trust of the block that this is called in, see `only`, until its end."""
    global _in_force
    _in_force = trust


def nothing(command: str = "this command") -> Trust:
    """The trust of a command that plans, checks or reads."""
    return Trust(why_not=f"{command} runs no code that a preset names")


def anything() -> Trust:
    """The trust in what a user names in the command itself."""
    return Trust(any=True)


def require_file(reference: str, path: Path) -> None:
    """Raise InputError unless a file may be run; the first time, say on standard error that it is.

    reference: as the preset writes it, for messages
    """
    if not _in_force.of_file(path):
        raise _refusal(reference, f"the file {path.resolve()}", str(path.resolve().parent))
    if not _in_force.any:
        _tell(f"{path.resolve()} (SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()[:16]})", reference)


def require_module(reference: str, name: str) -> None:
    """Raise InputError unless a module may be imported; the first time, say on standard error that it is."""
    if not _in_force.of_module(name):
        raise _refusal(reference, f"the module {name}", name.partition(".")[0])
    if not _in_force.any:
        _tell(f"the module {name}", reference)


def require_part(reference: str, found: Any) -> None:
    """Raise InputError unless an object that was found in a trusted module is one of a trusted package.

    Otherwise ``trusted_package:os.system`` would name any function that the package happens to import.
    """
    place = found.__name__ if isinstance(found, type(sys)) else getattr(found, "__module__", None)
    if not _in_force.of_module(str(place)):
        raise _refusal(reference, f"{reference.rpartition(':')[2]!r} of the module {place}", str(place).split(".")[0])


def own_file() -> Path:
    """The user's file of trusted packages and folders, one in a line, whether it is there or not.

    On Linux ``~/.config/cnn-invariance/trust.txt``, or in ``$XDG_CONFIG_HOME``.
    """
    from platformdirs import user_config_path

    return user_config_path("cnn-invariance") / "trust.txt"


def is_folder(named: str) -> bool:
    """Whether a text that a user trusts is meant as a folder.

    >>> is_folder("my_package.part"), is_folder("~/sets"), is_folder("."), is_folder("../sets")
    (False, True, True, True)
    """
    return "/" in named or "\\" in named or named.startswith((".", "~"))


def _read(named: Iterable[str]) -> tuple[list[Path], list[str]]:
    folders, packages = [], []
    for one in named:
        if is_folder(one):
            folder = expanded(one).resolve()
            if not folder.is_dir():
                raise InputError(f"trusted: {one!r} is no folder; name a folder or a package")
            folders.append(folder)
        elif all(part.isidentifier() for part in one.split(".")):
            packages.append(one)
        else:
            raise InputError(
                f"trusted: {one!r} is neither a package nor a folder; expected a name such as 'my_package', or a "
                "folder such as './sets'"
            )
    return folders, packages


def _own_lines() -> list[str]:
    """The lines of the user's own file that are no comments, in which folders are absolute."""
    path = own_file()
    try:
        if not path.is_file():
            return []
        with path.open(encoding="utf-8") as file:
            text = file.read(LONGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}, the file of what you trust, cannot be read: {error}; correct or delete it") from None
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    lines = [line for line in lines if line]
    if relative := [line for line in lines if is_folder(line) and not expanded(line).is_absolute()]:
        raise InputError(f"{path}: {relative[0]!r} is a relative folder; write the whole path")
    return lines


def _tell(what: str, reference: str) -> None:
    if (what, reference) not in _told:
        _told.add((what, reference))
        print(f"running code outside this package: {what}, for {reference!r}", file=sys.stderr)


def _refusal(reference: str, what: str, named: str) -> InputError:
    if _in_force.why_not:
        return InputError(f"{reference!r} is not run: it names {what}, and {_in_force.why_not}")
    beside = f" ({_in_force.folders[0]})" if _in_force.folders else ""
    return InputError(
        f"{reference!r} is not run: it names {what}, which is neither beside the preset{beside} nor trusted by you; "
        f"look at that code first, then give --trust {quote(named)} (of snakemake: --config trust=...), or add a line "
        f"with {named} to {own_file()}"
    )
