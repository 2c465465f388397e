"""The kernels for a GPU become machine code for real ones, on a machine that has none: Triton brings the assembler.

The functions of ``triton_kernels`` run as the engine calls them, on tensors of the CPU; each launch is compiled for a
GPU, with the same specialisation to its arguments as there, and not launched. In a process of its own: in this one
Triton interprets.
"""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

CAPABILITIES = (80, 90)  # A100; H100, H200
CASES = {  # M, b, positions, channels
    "a wide layer": (25, 8, 1024, 64),
    "few units": (3, 5, 1, 10),
}
PROGRAM = """
import json, sys, torch
import triton
from triton.backends.compiler import GPUTarget

class NoGPU:
    def get_current_target(self):
        return GPUTarget("cuda", int(sys.argv[1]), 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0

triton.runtime.driver.set_active(NoGPU())
compiled = {}
run = triton.runtime.JITFunction.run

def compile_only(self, *arguments, grid, warmup, **options):
    kernel = run(self, *arguments, grid=grid, warmup=True, **options)
    code = kernel.asm
    compiled.setdefault(self.fn.__name__, []).append([len(code["cubin"]), kernel.metadata.shared])

triton.runtime.JITFunction.run = compile_only
from cnn_invariance.measures.backends import triton_kernels
from cnn_invariance.measures.backends.interface import MapDistanceSums

M, b, P, C = map(int, sys.argv[2:])
U = P * C
values = torch.randn(M, b, U)
total = lambda *shape: torch.zeros(shape, dtype=torch.float64)
moments = (torch.empty(M, U, dtype=torch.float64), torch.empty(M, U))
for columns, std, var in ((None, total(U), None), (moments, None, None), (moments, total(U), total(U))):
    triton_kernels.grid_moments(values, 8, columns, std, var)
for A in (1, 3):
    counts = tuple(torch.zeros(A, U, dtype=torch.int32) for _ in range(2))
    triton_kernels.exceedances(values, values[0], torch.ones(A), torch.zeros(A, U), counts, torch.zeros(U))
for halves in (None, total(-(-b // 8), U)):
    triton_kernels.activation_distances(values, 8, total(U), total(-(-b // 8), U), halves)
maps = values.view(M, b, P, C)
for normalize in (False, True):
    sums = MapDistanceSums(total(C), total(-(-b // 8), C), total(-(-b // 8), C), total(C))
    form = dict(M=M, block=8, reference=0, normalize=normalize, pivot=torch.zeros(C))
    triton_kernels.map_distances(maps, sums, **form)
taps = torch.zeros(M, P, 4, dtype=torch.int32), torch.zeros(M, P, 2), torch.zeros(M, dtype=torch.uint8)
triton_kernels.undo(maps, *taps, torch.zeros(C), torch.empty_like(maps))
print(json.dumps(compiled))
"""


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_machine_code(capability, case, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["TRITON_CACHE_DIR"] = str(tmp_path)
    arguments = [str(capability), *map(str, CASES[case])]
    command = [sys.executable, "-W", "error::UserWarning", "-c", PROGRAM, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    compiled = json.loads(done.stdout)
    assert set(compiled) == {"_grid_moments", "_exceedances", "_pair_distances", "_map_pairs", "_undo"}
    for kernel, codes in compiled.items():
        for size, shared in codes:
            assert size > 1000, kernel
            assert shared <= 48 * 1024, kernel  # what every GPU gives without asking
