"""The columns of a transition, as they are declared, and as docs/protocol.md has them."""

from pathlib import Path

import numpy as np
from plain_ppo import random_rollout

from brigade.policy.network import Network
from brigade.ppo.rollout import COLUMNS, Rollout, columns_for

GUIDE = Path(__file__).parent.parent.parent / "docs" / "protocol.md"
NETWORK = Network(num_features=5, action_nvec=(3, 2), hidden_size=4)


def test_the_protocol_documents_every_column():
    guide = GUIDE.read_text().partition("`experience` holds")[2].partition("## The handshake")[0]
    lines = [line.strip("|").split("|") for line in guide.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line] for line in lines]
    documented = {name.strip("`"): (dtypes, rows, row) for name, dtypes, rows, row, _ in cells}
    assert documented == {
        name: (" or ".join(c.dtypes.split("|")), c.per.value, c.axes) for name, c in COLUMNS.items()
    }


def test_default_steps_masks_and_pictures_are_there_where_they_are_needed():
    whole = columns_for("difference_rewards", masked=True, pictures=True)
    assert whole == COLUMNS
    for kind, part in (
        ("default", columns_for("gae", masked=True, pictures=True)),
        ("masked", columns_for("difference_rewards", masked=False, pictures=True)),
        ("pictures", columns_for("difference_rewards", masked=True)),
    ):
        assert set(whole) - set(part) == {name for name, c in COLUMNS.items() if c.needed == kind}


def test_what_was_not_needed_has_no_rows():
    whole = random_rollout(NETWORK, 30, 1)
    arrays = {name: getattr(whole, name) for name in columns_for("gae", masked=False)}
    found = Rollout.of(arrays)
    assert len(found) == 30
    for name, column in COLUMNS.items():
        array = getattr(found, name)
        if column.needed != "always":
            assert len(array) == 0
            assert array.ndim == 1 + len(column.axes)
            assert array.dtype == np.dtype(column.dtypes)
        else:
            assert array is arrays[name]
