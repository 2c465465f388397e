import os
import subprocess
import sys
from pathlib import Path

import pytest

from cnn_invariance import machine


@pytest.mark.parametrize("hidden", ["", " ", "-1"])
def test_hidden_gpus_do_not_count(monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert machine.gpus() == 0


def test_gpus_are_those_of_the_driver(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    names = ["nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"]
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [folder / n for n in names if Path(n).match(pattern)])
    assert machine.gpus() == 2


@pytest.mark.parametrize("before", ["/usr/bin:/bin", None])
def test_own_commands_come_first(monkeypatch, before):
    monkeypatch.setenv("PATH", before or "x")
    if before is None:
        monkeypatch.delenv("PATH")
    machine.put_own_commands_first()
    first, *others = os.environ["PATH"].split(os.pathsep)
    assert first == str(Path(sys.executable).parent)
    assert others == (before or os.defpath).split(os.pathsep)


def test_this_machine_says_what_it_is():
    assert machine.cpu()
    assert machine.peak_memory() > 10**6


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell the peak of the process itself")
def test_the_peak_of_a_process_is_not_that_of_its_parent():
    held = bytearray(os.urandom(1) * 500_000_000)
    code = "from cnn_invariance.machine import peak_memory; print(peak_memory())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert 10**6 < int(done.stdout) < len(held) < machine.peak_memory()
