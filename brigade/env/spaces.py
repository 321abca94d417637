"""An action space that samples under the masks that the environment gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

__all__ = ["MaskableMultiDiscrete"]


class MaskableMultiDiscrete(spaces.MultiDiscrete):
    """A ``MultiDiscrete`` whose :meth:`sample` takes its mask as one flat array too.

    Gymnasium wants a tuple of arrays; what learns from the masks, and what keeps them in one
    array, wants one array of ``sum(nvec)`` entries. With this space one mask serves both.
    """

    def sample(self, mask: Any = None, *args: Any, **kwargs: Any) -> NDArray[np.int64]:
        """Draw an action; ``mask`` is int8 ``[sum(nvec)]`` or what Gymnasium takes."""
        if isinstance(mask, np.ndarray):
            mask = tuple(np.split(mask, np.cumsum(self.nvec)[:-1]))
        return super().sample(mask, *args, **kwargs)
