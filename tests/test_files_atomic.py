"""A file is whole or absent."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from cnn_invariance.storage.files import atomic_write


def test_the_file_appears_at_the_end_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "file.txt"
    with atomic_write(target) as temporary:
        temporary.write_text("whole")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")

    def write() -> None:
        with atomic_write(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_old_file_is_replaced_for_new_readers_only(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with target.open() as reader:
        with atomic_write(target) as temporary:
            temporary.write_text("new")
        assert reader.read() == "old"
    assert target.read_text() == "new"


def test_two_writers_do_not_share_a_temporary(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with atomic_write(target) as one, atomic_write(target) as two:
        one.write_text("one")
        two.write_text("two")
    assert target.read_text() == "one"


def test_the_temporary_keeps_the_ending(tmp_path: Path) -> None:
    target = tmp_path / "data.npz"
    with atomic_write(target) as temporary:
        np.savez(temporary, x=np.arange(3))
    with np.load(target) as content:
        assert content["x"].tolist() == [0, 1, 2]
    assert list(tmp_path.iterdir()) == [target]


def test_the_temporary_may_be_replaced_by_the_writer(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    with atomic_write(target) as temporary:
        other = tmp_path / "other"
        other.write_text("whole")
        other.replace(temporary)
    assert target.read_text() == "whole"


def test_the_mode_is_that_of_any_new_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    with atomic_write(tmp_path / "atomic") as temporary:
        temporary.write_text("x")
    assert stat.S_IMODE((tmp_path / "atomic").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, calls = tmp_path / "file.txt", []
    sync, replace = os.fsync, Path.replace

    def watched_sync(handle: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "content")
        sync(handle)

    def watched_replace(self: Path, other: Path) -> Path:
        calls.append("rename")
        return replace(self, other)

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    with atomic_write(target) as temporary:
        temporary.write_text("x")
    assert calls == ["content", "rename", "folder"]
