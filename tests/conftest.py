"""What all tests share: torch as it was before each, and hypothesis with the same examples."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _torch_as_it_was() -> Iterator[None]:
    """Undo what commands, run in this process, set for their own; one thread, for small tensors."""
    torch.set_num_threads(1)
    yield
    torch.set_flush_denormal(False)
