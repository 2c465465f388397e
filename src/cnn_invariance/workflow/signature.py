"""A signature over all results of a preset: who made them, which their seals do not say.

The seal of a result is a checksum: it finds damage, and whoever changes a result can seal it anew. A signature can
only be made with the author's key. `sign` lists the SHA-256 of every result in ``results/<preset>/SHA256SUMS`` (which
``sha256sum -c`` reads, too) and signs the list with OpenSSH: ``ssh-keygen -Y sign``. `check` verifies the signature of
the list against the keys that a reader trusts (the ALLOWED SIGNERS of ssh-keygen(1)), then every file against the list.
"""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from cnn_invariance.errors import InputError, shortened
from cnn_invariance.storage.files import write_whole
from cnn_invariance.storage.paths import expanded
from cnn_invariance.workflow.plan import Plan

LIST, NAMESPACE = "SHA256SUMS", "cnn-invariance-results"
LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_./-]+)")
LARGEST, NAMED, SECONDS = 2**26, 20, 120


def sign(plan: Plan, key: Path) -> Path:
    """Sign the results of a preset that are there with a private key of SSH; returns the file of the signature.

    Errors: InputError without results, for a damaged result, and if ssh-keygen is missing or refuses the key.
    """
    plan.check()
    found = _hashes(plan)
    if not found:
        raise InputError(f"{plan.results.root}: no results; there is nothing to sign")
    path = plan.results.root / LIST
    write_whole(path, "".join(f"{found[name]}  {name}\n" for name in sorted(found)))
    signature = _signature(path)
    signature.unlink(missing_ok=True)
    _ssh_keygen("-Y", "sign", "-f", str(_file(key, "private key")), "-n", NAMESPACE, str(path))
    return signature


def check(plan: Plan, signers: Path, signer: str | None = None) -> str:
    """Check the signature over the results of a preset; returns who signed, and how many results.

    signers: the file of allowed signers, "name key" in each line
    signer:  whose signature it must be; None: that of anybody in the file

    Errors: InputError for a signature that is missing, wrong or of nobody in the file, and for a result that was
    changed, added or removed since.
    """
    path = plan.results.root / LIST
    signature, allowed = _signature(path), str(_file(signers, "file of allowed signers"))
    for one in (path, signature):
        if not one.is_file() or one.stat().st_size > LARGEST:
            raise InputError(
                f"{one}: no such file, or a huge one; the results are not signed: 'results sign' does that"
            )
    content = path.read_bytes()
    if signer is None:
        named = _ssh_keygen("-Y", "find-principals", "-s", str(signature), "-f", allowed)
        signer = named.splitlines()[0] if named else ""
    options = ("-f", allowed, "-I", signer, "-n", NAMESPACE, "-s", str(signature))
    _ssh_keygen("-Y", "verify", *options, given=content)
    listed = _listed(path, content)
    found = _hashes(plan)
    problems = [
        *(
            f"{name}: changed since it was signed"
            for name in sorted(listed.keys() & found)
            if listed[name] != found[name]
        ),
        *(f"{name}: signed, and no longer there" for name in sorted(listed.keys() - found)),
        *(f"{name}: there, and not signed" for name in sorted(found.keys() - listed)),
    ]
    if problems:
        more = [f"and {len(problems) - NAMED} more"] if len(problems) > NAMED else []
        raise InputError("\n".join([f"{path}: signed by {signer}, but:", *problems[:NAMED], *more]))
    return f"{len(found)} results of {plan.study.name} are as {signer} signed them"


def _hashes(plan: Plan) -> dict[str, str]:
    """The SHA-256 of each result that is there, by its name in the folder of results."""
    found = {}
    for cell in filter(plan.results.has, plan.cells):
        path = plan.results.path(cell)
        with path.open("rb") as file:
            found[path.relative_to(plan.results.root).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _listed(path: Path, content: bytes) -> dict[str, str]:
    lines = [LINE.fullmatch(line) for line in content.decode("ascii", "replace").splitlines()]
    if None in lines:
        raise InputError(f"{path}: expected lines of a SHA-256 and the name of a result; make it again: 'results sign'")
    return {line[2]: line[1] for line in lines if line is not None}


def _signature(path: Path) -> Path:
    return path.with_name(f"{path.name}.sig")


def _file(path: Path, what: str) -> Path:
    """A file that a user names (InputError if there is none)."""
    if not (found := expanded(path)).is_file():
        raise InputError(f"{path}: no such {what}")
    if found.stat().st_size > LARGEST:
        raise InputError(f"{path}: {found.stat().st_size:,} bytes; expected a {what}, of {LARGEST:,} bytes at most")
    return found


def _ssh_keygen(*arguments: str, given: bytes | None = None) -> str:
    """What ssh-keygen prints (InputError with what it says, if it fails)."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise InputError(
            "signatures are made and checked by ssh-keygen of OpenSSH 8.2 or later, which is not installed"
        )
    try:
        done = subprocess.run([program, *arguments], input=given, capture_output=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"ssh-keygen took more than {SECONDS} s; does it wait for a password or a device?") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
        raise InputError(f"ssh-keygen {arguments[1]}: {shortened(said, 500) or 'the signature is not valid'}")
    return done.stdout.decode(errors="replace").strip()
