"""The locks in envs/: complete, of what pyproject.toml asks for, and the same for pip and conda."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("torch.txt", "requirements.txt", "test.txt", "slurm.txt", "export.txt", "docs.txt")
ENTRY = re.compile(r"^(?P<pin>\S+==.*?) \\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE)


def locked(*names):
    """The requirements pinned in some locks."""
    texts = [(ROOT / "envs" / name).read_text(encoding="utf-8") for name in names]
    return [Requirement(match["pin"]) for text in texts for match in ENTRY.finditer(text)]


def version(requirements, name, python):
    """The version of a package that is installed on Linux for a Python, if any."""
    environment = default_environment() | {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }
    found = [
        next(iter(requirement.specifier)).version
        for requirement in requirements
        if canonicalize_name(requirement.name) == canonicalize_name(name)
        and (requirement.marker is None or requirement.marker.evaluate(environment))
    ]
    assert len(found) <= 1, f"{name} is pinned several times for Python {python}: {found}"
    return found[0] if found else None


@pytest.mark.parametrize("name", [*LOCKS, "validators.txt"])
def test_a_lock_holds_pins_with_hashes_and_nothing_else(name):
    text = (ROOT / "envs" / name).read_text(encoding="utf-8")
    rest = [line for line in ENTRY.sub("", text).splitlines() if not line.startswith("#")]
    assert rest == []
    assert "://" not in text, "a lock names no place: the index is the installer's choice"


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("extra", [None, "study", "test", "slurm", "export", "docs"])
def test_what_the_package_asks_for_is_locked(python, extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] if extra is None else project["project"]["optional-dependencies"][extra]
    wanted = [*wanted, *project["build-system"]["requires"]]
    pins = locked(*LOCKS[:2], *([f"{extra}.txt"] if extra in ("test", "slurm", "export", "docs") else []))
    for requirement in map(Requirement, wanted):
        pinned = version(pins, requirement.name, python)
        assert pinned is not None, f"{requirement} is not locked; run make lock"
        assert requirement.specifier.contains(pinned), f"{requirement}: {pinned} is locked; run make lock"


def test_a_package_is_in_one_lock_or_the_same_in_those_of_two_extras():
    needed = [str(requirement) for requirement in locked(*LOCKS[:2])]
    extras = {str(requirement) for requirement in locked(*LOCKS[2:])}
    assert len(needed) == len(set(needed))
    assert not extras & set(needed)
    assert len(extras) == len({(pin.partition("==")[0], pin.partition(";")[2]) for pin in extras})


def test_conda_gets_the_same_versions():
    environment = yaml.safe_load((ROOT / "envs/environment.yaml").read_text(encoding="utf-8"))
    (pip,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert {str(Requirement(line)) for line in pip} == {str(requirement) for requirement in locked(*LOCKS[:2])}


def test_numpy_stubs_of_old_are_kept_out():
    names = {canonicalize_name(requirement.name) for requirement in locked(*LOCKS)}
    assert "tmeasures" in names
    assert "data-science-types" not in names
