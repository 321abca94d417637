"""When a step is done, recorded and replayed; what a GPU makes of it is in test_update.py."""

from contextlib import nullcontext

import torch

from brigade.ppo.cuda_graph import TIMES_BEFORE, CudaGraph


class Graph:
    """Stands in for a CUDA graph: a replay is noted."""

    replays = 0

    def replay(self) -> None:
        Graph.replays += 1


def test_on_a_gpu_a_step_is_recorded_once_and_then_replayed(monkeypatch):
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph, capture_error_mode: nullcontext())
    graph, steps = CudaGraph(torch.device("cuda")), []

    def step() -> torch.Tensor:
        steps.append(1)
        return torch.tensor(float(len(steps)))

    said = [float(graph.do(step)) for _ in range(TIMES_BEFORE + 3)]
    assert len(steps) == TIMES_BEFORE + 1
    assert Graph.replays == 3  # recording alone does nothing
    assert said == [*range(1, TIMES_BEFORE + 1), *[TIMES_BEFORE + 1] * 3]


def test_on_a_cpu_each_step_is_done():
    graph, steps = CudaGraph(torch.device("cpu")), []
    for _ in range(5):
        graph.do(lambda: torch.tensor(steps.append(1) or 0.0))
    assert len(steps) == 5
