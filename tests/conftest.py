"""What all tests share: one thread for torch, and the same examples for hypothesis every time."""

import torch
from hypothesis import settings

torch.set_num_threads(1)  # the machine may be shared, and the tensors here are small
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
