"""What an agent lives through between two updates, column by column.

:class:`Rollout` is the one place that says which columns there are. The simulator's buffer, the
messages, the learner's reader and the protocol's documentation follow it: who adds a column adds a
field here, and whatever computes with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Annotated, Any, Literal, get_type_hints

import numpy as np
from numpy.typing import NDArray

from brigade.ppo.upload import Upload, Uploader

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Bytes = NDArray[np.uint8]


class Per(Enum):
    """What a column has a row for."""

    STEP = "n"
    FRAGMENT = "M"
    BOOTSTRAP = "fragments that did not terminate"
    DEFAULT = "steps changed without having ended so"


@dataclass(frozen=True)
class Column:
    """One column, such as it travels.

    Attributes
    ----------
    per
        What it has a row for.
    dtypes
        Which may travel, by NumPy's letter and the item size, several separated by ``|``.
    axes
        Further axes: F for features of an observation, P for the bytes of its pictures, C for
        components of an action (of a continuous one, its numbers), L for the choices of all
        components together.
    needed
        Where it is there: always, where there are default steps, where choices are masked, or where
        there are pictures.
    """

    per: Per
    dtypes: str
    axes: str = ""
    needed: Literal["always", "default", "masked", "pictures"] = "always"

    def shape(
        self,
        num_features: int,
        action_nvec: Sequence[int],
        num_continuous: int = 0,
        num_picture_bytes: int = 0,
    ) -> tuple[int, ...]:
        """Shape of a row."""
        components = len(action_nvec) + num_continuous
        sizes = {"F": num_features, "P": num_picture_bytes}
        sizes |= {"C": components, "L": sum(action_nvec)}
        return tuple(sizes[axis] for axis in self.axes)


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """Steps of one agent: M fragments of n steps in all, one after another.

    A fragment is a stretch of one lane's steps in one game. Columns that the run does not need have
    no rows (:func:`columns_for`).
    """

    # What was seen, done and got, step by step.
    observations: Annotated[Floats | Upload, Column(Per.STEP, "f4", "F")]
    # The bytes of all pictures, one after another.
    pictures: Annotated[Bytes | Upload, Column(Per.STEP, "u1", "P", needed="pictures")]
    # Choices, of as few bytes as all fit in; or continuous actions as they were drawn.
    actions: Annotated[NDArray[np.integer] | NDArray[np.float32], Column(Per.STEP, "u1|i4|f4", "C")]
    # Which components of the action had an effect.
    component_mask: Annotated[Flags, Column(Per.STEP, "b1", "C")]
    # Which choices were open.
    action_mask: Annotated[Flags, Column(Per.STEP, "b1", "L", needed="masked")]
    # Of those components, under the policy that acted.
    log_probs: Annotated[Floats, Column(Per.STEP, "f4")]
    # The same policy's, in the game's units.
    values: Annotated[Floats, Column(Per.STEP, "f4")]
    rewards: Annotated[Floats, Column(Per.STEP, "f4")]
    # Of what follows the step.
    discounts: Annotated[Floats, Column(Per.STEP, "f4")]

    # The same steps, had the agent taken the default action: whether the game would have ended,
    # whether what follows or the end would be another, and what would have been seen then.
    default_rewards: Annotated[Floats, Column(Per.STEP, "f4", needed="default")]
    default_terminated: Annotated[Flags, Column(Per.STEP, "b1", needed="default")]
    changed: Annotated[Flags, Column(Per.STEP, "b1", needed="default")]
    default_observations: Annotated[Floats, Column(Per.DEFAULT, "f4", "F", needed="default")]

    # Fragments: steps in each, how its game ended with it (neither: the rollout did), who acted.
    lengths: Annotated[NDArray[np.int32], Column(Per.FRAGMENT, "i4")]
    terminated: Annotated[Flags, Column(Per.FRAGMENT, "b1")]
    truncated: Annotated[Flags, Column(Per.FRAGMENT, "b1")]
    policy_versions: Annotated[NDArray[np.int64], Column(Per.FRAGMENT, "i8")]
    # What follows them.
    bootstrap_observations: Annotated[Floats, Column(Per.BOOTSTRAP, "f4", "F")]
    bootstrap_pictures: Annotated[Bytes, Column(Per.BOOTSTRAP, "u1", "P", needed="pictures")]

    def __len__(self) -> int:
        """Count the transitions, n."""
        return len(self.rewards)

    @classmethod
    def of(cls, arrays: Mapping[str, Any]) -> Rollout:
        """Take the columns out of named arrays; those that are not always needed may be missing."""
        features, components = arrays["observations"].shape[1], arrays["actions"].shape[1]
        missing = {
            name: np.zeros((0, *column.shape(features, [0] * components)), column.dtypes)
            for name, column in COLUMNS.items()
            if column.needed != "always"
        }
        return cls(**(missing | {name: arrays[name] for name in COLUMNS if name in arrays}))

    def empty(self) -> Rollout:
        """A rollout of no steps, with the same columns."""
        return Rollout(**{name: getattr(self, name)[:0] for name in COLUMNS})

    def sent(self, uploader: Uploader) -> Rollout:
        """Begin to upload what was seen, which is nearly all of it: the rollout with that."""
        if isinstance(self.observations, Upload) or isinstance(self.pictures, Upload):
            return self
        sent = replace(self, observations=uploader.begin(self.observations))
        return replace(sent, pictures=uploader.begin(self.pictures)) if self.pictures.size else sent


def action_dtype(action_nvec: Sequence[int]) -> str:
    """In which of its dtypes the column of actions is kept; ``action_nvec`` may be empty."""
    choices, many_choices, continuous = COLUMNS["actions"].dtypes.split("|")
    if not action_nvec:
        return continuous
    return choices if max(action_nvec) <= 256 else many_choices


def columns_for(advantages: str, *, masked: bool, pictures: bool = False) -> dict[str, Column]:
    """Give the columns that a run with such advantages needs, by name."""
    there = {"always": True, "masked": masked, "pictures": pictures}
    there["default"] = advantages == "difference_rewards"
    return {name: column for name, column in COLUMNS.items() if there[column.needed]}


COLUMNS: dict[str, Column] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(Rollout, include_extras=True).items()
}
