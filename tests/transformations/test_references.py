"""References to a user's own objects: what resolves, and what each failure says."""

import sys
from pathlib import Path

import pytest

from cnn_invariance.errors import InputError
from cnn_invariance.plugins.references import is_reference, resolve


@pytest.fixture
def own_file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Box:\n"
        "    side: 'int' = 3\n"
        "    @classmethod\n"
        "    def make(cls): return cls(5)\n"
        "def shear(): return 'sheared'\n"
    )
    return path


def test_a_function_of_a_file(own_file: Path) -> None:
    assert resolve(f"{own_file}:shear")() == "sheared"


def test_a_relative_file_starts_at_the_current_folder(own_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(own_file.parent)
    assert resolve("mine.py:shear")() == "sheared"


def test_a_dotted_name_and_a_dataclass(own_file: Path) -> None:
    assert resolve(f"{own_file}:Box.make")().side == 5


def test_files_of_one_name_in_two_folders_do_not_mix(tmp_path: Path) -> None:
    for folder, value in (("a", 1), ("b", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(f"VALUE = {value}\n")
    assert [resolve(f"{tmp_path / folder / 'same.py'}:VALUE") for folder in "ab"] == [1, 2]


def test_an_edited_file_is_read_anew(own_file: Path) -> None:
    resolve(f"{own_file}:shear")
    own_file.write_text("def shear(): return 'something else'\n")
    assert resolve(f"{own_file}:shear")() == "something else"


def test_a_name_of_a_module() -> None:
    import os.path

    assert resolve("os.path:join") is os.path.join


@pytest.mark.parametrize("text", ["rotation", "", ":", "file.py:", ":name", "file.py:two words", "file.py:1st"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"expected 'file\.py:name'"):
        resolve(text)


def test_which_texts_are_references() -> None:
    assert is_reference("a.py:b")
    assert not is_reference("rotation")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file .*absent\.py"):
        resolve(f"{tmp_path / 'absent.py'}:x")


def test_a_missing_module_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"no module 'no_such_package.part'.*PYTHONPATH"):
        resolve("no_such_package.part:x")


def test_a_module_that_lacks_a_module_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needy_module.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="'needy_module' needs 'no_such_dependency'"):
        resolve("needy_module:x")


def test_a_missing_name_gives_the_nearest(own_file: Path) -> None:
    with pytest.raises(InputError, match=r"unknown name in '.*mine.py' 'sheer'; did you mean 'shear'"):
        resolve(f"{own_file}:sheer")


@pytest.mark.parametrize(
    ("text", "said"),
    [("1 / 0\n", "ZeroDivisionError"), ("def (:\n", "SyntaxError"), ("import no_such_x\n", "no_such_x")],
)
def test_a_file_that_fails_is_named_and_forgotten(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"broken\.py cannot be imported: .*{said}"):
        resolve(f"{path}:x")
    assert not [name for name in sys.modules if "_reference_broken" in name]
