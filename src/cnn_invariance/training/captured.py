"""Training steps as a CUDA graph: recorded once, then replayed with one launch a step.

A step of a small network is hundreds of kernels of a few microseconds each, and launching them one by one takes the
processor longer than the GPU takes to run them. A graph runs the same kernels on the same memory without launches.
See "CUDA Graphs" in PyTorch's notes on CUDA semantics.
"""

import os
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

WARM_UP = 3
"""Steps that run one by one before the recording: PyTorch's advice, so that libraries and optimiser are set up."""

Step = Callable[[Tensor, Tensor | None], Tensor]


class Captured:
    """A training step that is recorded after `WARM_UP` batches of the first batch's size, and replayed from then on.

    The step: (taken (B,) int64, prepared (B, ...) or None) -> loss, a scalar; all on the device, no waiting for it.
    The steps before the recording also train, and so do the steps on batches of another size, which are never
    recorded. Dropout draws the same random numbers as without a graph, because the device's generator counts for both.

    A step that cannot be recorded (for example because the network waits for the device) runs without a graph, with a
    warning. With CNN_INVARIANCE_CAPTURE=0 every step does. The results are the same in both cases.
    """

    def __init__(self, step: Step, device: torch.device) -> None:
        self._step, self._device = step, device
        self._wanted = os.environ.get("CNN_INVARIANCE_CAPTURE", "1") != "0"
        self._size = 0
        self._seen = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, taken: Tensor, prepared: Tensor | None) -> Tensor:
        """Run the step and return its loss, which the next call overwrites."""
        self._size = self._size or len(taken)
        if not self._wanted or len(taken) != self._size:
            return self._step(taken, prepared)
        if self._seen < WARM_UP:
            self._seen += 1
            return self._aside(taken, prepared)
        if self._graph is None and not self._record(taken, prepared):
            return self._step(taken, prepared)
        return self._replay(taken, prepared)

    def _aside(self, taken: Tensor, prepared: Tensor | None) -> Tensor:
        """Run the step on a separate stream, because memory that it allocates must not belong to the current stream."""
        stream = torch.cuda.Stream(self._device)
        stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(stream):
            loss = self._step(taken, prepared)
        torch.cuda.current_stream(self._device).wait_stream(stream)
        return loss

    def _record(self, taken: Tensor, prepared: Tensor | None) -> bool:
        """Record the step on copies of its arguments, without running it. Returns whether it could be recorded."""
        self._taken = taken.clone()
        self._prepared = None if prepared is None else prepared.clone()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize(self._device)
        try:
            with torch.cuda.graph(graph):
                self._loss = self._step(self._taken, self._prepared)
        except RuntimeError as error:
            self._wanted = False
            warnings.warn(f"training steps are run one by one, as they cannot be recorded: {error}", stacklevel=2)
            return False
        self._graph = graph
        return True

    def _replay(self, taken: Tensor, prepared: Tensor | None) -> Tensor:
        assert self._graph is not None
        self._taken.copy_(taken)
        if self._prepared is not None and prepared is not None:
            self._prepared.copy_(prepared)
        self._graph.replay()
        return self._loss
