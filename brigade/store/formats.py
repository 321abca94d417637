"""Checkpoints of earlier formats, read as the present one.

Content is what ``torch.load`` finds in a file: plain values and tensors by name. Each step below
turns the content of one format into that of the next; it returns new content and changes nothing in
the old. Logits and values stay what the version that wrote the file computed, up to rounding. Games
that this version could not go on with are left out rather than made up: ``simulator`` is empty.

Whoever changes the format appends a step, and adds a file of the new format to
``tests/store/formats``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Content = dict[str, Any]

# Since format 3, the logits of single choices count so much beside what the query points at.
_DETAIL = 0.1


class FormatError(ValueError):
    """Content is of no format that this version reads: one line that says why."""


def format_of(content: object) -> int:
    """Return the number of the format that content is of.

    Raises
    ------
    FormatError
        It is not a checkpoint's, or that of a version to come.
    """
    found = content.get("format") if isinstance(content, dict) else None
    if type(found) is not int or found < 1:
        raise FormatError("not a checkpoint of brigade's")
    if found > FORMAT:
        raise FormatError(
            f"a checkpoint of format {found}, written by a newer version of brigade; this one "
            f"reads formats 1 to {FORMAT}: install the newer version to use it"
        )
    return found


def upgraded(content: Content) -> Content:
    """Turn content of any format into that of the present one.

    Raises
    ------
    FormatError
        It cannot be. Content that is not whole raises whatever its parts do: LookupError,
        TypeError, ValueError, AttributeError or RuntimeError.
    """
    for step in _STEPS[format_of(content) - 1 :]:
        content = step(content)
    return content


def _to_2(content: Content) -> Content:
    """Networks may point at what the observation describes; those of format 1 do not."""
    return content | {"network": content["network"] | {"choices": ()}, "simulator": {}}


def _to_3(content: Content) -> Content:
    """A choice's own logit counts less, its place is no feature; seats may share choices out.

    A query's last entry, the place's, was multiplied by where the choice stands among the others,
    from -1 to 1. That does not depend on the observation, so it is moved into the choice's own
    logit. (Early networks of format 2 had no such entry.)
    """
    network = content["network"]
    if "seats" in network:
        raise FormatError(
            "a checkpoint of format 2 by a version between releases, whose seats leaned towards "
            "houses in a way that was taken back: use the version that wrote it"
        )
    config = {name: value for name, value in content["config"].items() if name != "value_lambda"}
    changed = content | {"network": network | {"seats": ()}, "config": config, "simulator": {}}
    if not network["choices"]:
        return changed
    choices, outputs = len(network["choices"]), sum(network["action_nvec"]) + 1
    seen, heads = len(network["choices"][0]), len(content["policies"][0]["heads.bias"])
    # Columns of the query, its entry for the place (1 or 0), the choices' logits, the others.
    widths = [seen, heads - seen - outputs, choices, outputs - choices]
    inputs = network["hidden_size"] + 1
    return changed | {
        "policies": {
            agent: policy
            | {n: _place_in_logits(policy[n], widths) for n in ("heads.weight", "heads.bias")}
            for agent, policy in content["policies"].items()
        },
        # A gradient for what counts less is smaller by as much, its square by that squared.
        "optimizers": {
            agent: adam
            | {
                "first_moment": _moment(adam["first_moment"], inputs, widths, _DETAIL),
                "second_moment": _moment(adam["second_moment"], inputs, widths, _DETAIL**2),
            }
            for agent, adam in content["optimizers"].items()
        },
    }


def _place_in_logits(heads: Tensor, widths: list[int]) -> Tensor:
    """Weights or biases ``[..., q + L + 1]`` of format 2's heads as those of format 3."""
    query, place, logits, others = torch.split(heads, widths, dim=-1)
    places = torch.linspace(-1, 1, logits.shape[-1]).expand(place.shape[-1], -1)
    return torch.cat([query, (logits + place @ places) / _DETAIL, others], dim=-1)


def _moment(row: Tensor, inputs: int, widths: list[int], scale: float) -> Tensor:
    """One of Adam's moments ``[D]``: without the place's entries, the choices' logits' scaled."""
    size = inputs * sum(widths)  # the heads' weights and biases are the row's end
    body, heads = torch.split(row, [len(row) - size, size])
    query, _, logits, others = torch.split(heads.view(inputs, -1), widths, dim=-1)
    return torch.cat([body, torch.cat([query, logits * scale, others], dim=-1).flatten()])


def _to_4(content: Content) -> Content:
    """What a choice is to the seat itself may come in after sharing; in format 3 nothing does.

    Settings that came while the format was 3 say what runs did before there was a choice.
    """
    config = {"advantages": "gae", "random_starts": 0.0} | content["config"]
    network = content["network"] | {"private": ()}
    return content | {"network": network, "config": config, "simulator": {}}


def _to_5(content: Content) -> Content:
    """What choices draw may count for other logits; in format 4 it does not."""
    network = content["network"] | {"drawn": ()}
    return content | {"network": network}


def _to_6(content: Content) -> Content:
    """Game and policy are described by kind and version; until format 5 there was one of each.

    The length of games is counted in turns, of which bucket brigade's are nights.
    """
    game = {
        "kind": "bucket_brigade",
        "version": 1,
        "name": content["scenario_name"],
        "arguments": {
            "num_seats": content["config"]["num_agents_per_game"],
            "scenario": content["scenario"],
        },
    }
    policy = {"kind": "mlp", "version": 1, "signals": (2,)} | content["network"]
    statistics = dict(content["statistics"])
    statistics["total_turns"] = statistics.pop("total_nights")
    return content | {"game": game, "policy": policy, "statistics": statistics}


def _to_7(content: Content) -> Content:
    """Agents may have several roles; until format 6 they had one."""
    size = content["population_size"]
    return content | {
        "roles": [{"name": "agent", "agents": size, "policy": content["policy"]}],
    }


_STEPS: tuple[Callable[[Content], Content], ...] = (_to_2, _to_3, _to_4, _to_5, _to_6, _to_7)
FORMAT = len(_STEPS) + 1
