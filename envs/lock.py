"""Write the locks of this folder anew: every version of every package, with the hashes of its files.

    make lock                   keep the versions there are, as far as pyproject.toml allows
    make lock LOCK=--upgrade    take the newest

It needs ``uv`` and PyPI. One resolution holds for Python 3.11 to 3.13 on every platform with wheels; it is
parted into ``torch.txt`` (PyTorch and what only its CUDA build needs), ``requirements.txt`` (all else that the
package with the extra ``study`` needs to run and to be installed), ``test.txt`` (what tests and checks need beyond),
``export.txt`` (what ``cnn-invariance export`` needs beyond), ``slurm.txt`` (what a Slurm cluster needs beyond) and
``docs.txt`` (what the documentation needs beyond). ``environment.yaml`` has the versions of the first two for conda.
``validators.txt`` is a lock of its own, for an environment of its own: these programs want older packages than the
study.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ENVS = Path(__file__).parent
PYPI = "https://pypi.org/simple"
BUILD = "setuptools>=77\n"  # pyproject.toml's build-system; locked, so that installing the package asks no index
TORCH = re.compile(r"(torch|torchvision|triton|nvidia-.*|cuda-.*)==")
ENTRY = re.compile(r"^\S+==.*(?:\n    --hash=\S+(?: \\)?)+", re.MULTILINE)
LOCKS = {
    "torch.txt": "PyTorch for CUDA and for CPUs, as PyPI has it.",
    "requirements.txt": "What cnn_invariance needs to run and to be installed, PyTorch excepted.",
    "test.txt": "What tests and checks need beyond.",
    "slurm.txt": "What Snakemake needs to submit jobs to Slurm.",
    "docs.txt": "What the documentation needs to be built.",
    "export.txt": "What `cnn-invariance export` needs beyond.",
}
VALIDATORS = "roc-validator>=0.13\ncffconvert>=2\nrocrate==0.13.0\n"
"""Programs that check what is exported, see `make validators`; this ``rocrate`` has the vocabulary that they need."""
ENVIRONMENT = """\
# For those who use conda. Written by `make lock`; the versions are those of torch.txt and requirements.txt.
#
#     conda env create -f envs/environment.yaml
#     conda activate cnn-invariance
#     pip install --no-deps --no-build-isolation -e .
#
# The packages come from PyPI: conda-forge has no Snakemake, and not always these versions of the others.
name: cnn-invariance
channels:
  - conda-forge
dependencies:
  - python=3.12
  - pip
  - c-compiler
  - pip:
"""


def resolve(known: str, *options: str, asked: str = BUILD, project: tuple[str, ...] = ("pyproject.toml",)) -> list[str]:
    """The entries of a lock, each with its hashes; versions in ``known``, a lock too, are preferred."""
    with tempfile.TemporaryDirectory() as folder:
        lock = Path(folder) / "lock.txt"
        lock.write_text(known, encoding="utf-8")
        shape = ["--universal", "--python-version=3.11", "--generate-hashes", "--no-annotate", "--no-header"]
        command = ["uv", "pip", "compile", *project, "-", *shape, f"--output-file={lock}"]
        subprocess.run(
            [*command, "--default-index", PYPI, "--no-emit-index-url", "--quiet", *options],
            cwd=ENVS.parent,
            input=asked,
            text=True,
            check=True,
        )
        return ENTRY.findall(lock.read_text(encoding="utf-8"))


def write(name: str, entries: list[str]) -> None:
    """Write one lock."""
    said = LOCKS.get(name, "Programs that check what is exported, for an environment of their own.")
    lines = [f"# {said} Written by `make lock`.", *entries]
    (ENVS / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def pin(entry: str) -> str:
    """An entry without its hashes."""
    return entry.partition(" \\\n")[0]


def main(options: list[str]) -> None:
    """Resolve everything, then its parts, with the same versions."""
    known = "".join((ENVS / name).read_text(encoding="utf-8") for name in LOCKS if (ENVS / name).is_file())
    versions = "\n".join(resolve(known, "--all-extras", *options))
    needed = resolve(versions, "--extra=study")
    torch = [entry for entry in needed if TORCH.match(entry)]
    rest = [entry for entry in needed if not TORCH.match(entry)]
    write("torch.txt", torch)
    write("requirements.txt", rest)
    for extra in ("test", "slurm", "export", "docs"):
        found = resolve(versions, "--extra=study", f"--extra={extra}")
        write(f"{extra}.txt", [entry for entry in found if entry not in needed])
    path = ENVS / "validators.txt"
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    write("validators.txt", resolve(before, *options, asked=VALIDATORS, project=()))
    pins = sorted(f'      - "{pin(entry)}"\n' for entry in needed)
    (ENVS / "environment.yaml").write_text(ENVIRONMENT + "".join(pins), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
