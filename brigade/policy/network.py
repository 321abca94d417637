"""The policy network of K agents at once, with its parameters in one flat row per agent.

Every agent has the same shape of network: two hidden layers with ReLU, then one linear layer whose
columns are a query, the logits of each action component and, last, the state's value.

The query *points*: where the first component chooses among things that the observation describes,
its product with each thing's features is added to that thing's logit. So what is learned about one
is learned about all that look like it at once (after Vinyals et al. 2015, "Pointer Networks").

What is pointed at *draws*. A choice that stands beside the first component's, to act on what that
chose or not to act, has one logit; how likely an agent is to act would have to be learned apart
from on what, for each situation anew. So the logit of acting rises by ``log mean exp`` of those of
the choices: acting on each of the N things and not acting are the alternatives of one softmax.
Where nothing is worth it, that acting does not pay teaches the agent to stay away from such things,
and not from acting.

Seats *share out* what is pointed at. Let p be the softmax of these logits, the agent's attention,
f(c) the attention on the choices before c less that on those behind it, and r the seat's rank,
from -1 to 1. Then the logit of c rises by ``k p(c)^2 f(c) (2 r - f(c))``, with k the query's last
entry: most where f(c) is nearest to r. One thing alone draws everyone (its f is 0); of two that
look alike, low seats take the first and high ones the second; of four, each of four seats its own.
It is stratified sampling from the attention, with a stratum for each seat. All agents are born with
the same k, so that a population has a convention to begin with, where independent learners would
each settle on one of their own. What a choice is to the seat itself and to no other (that it owns
it) is kept out of that: the query points at it too, but its product comes in only afterwards. Seats
can share out only what they see alike.

K agents are one tensor ``[K, num_parameters]``; a layer's weights are views into it, so that one
batched matrix multiplication serves all agents, one call of the optimiser updates them, and one
copy sends an agent away. Nothing here draws random numbers of its own or keeps state.

Columns of an observation that may be of any size are *normalised*: each becomes its distance from
the mean of what the agent has seen of it, in standard deviations. These statistics lie at the end
of the row, so that whoever has an agent's row has them too; gradients do not move them, updates do
(``ppo/observation_statistics.py``).

Pictures in an observation have encoders of their own (``policy/pictures.py``), whose features go
into the first layer beside the other columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from math import log, prod, sqrt

import torch
from torch import Tensor

from brigade.policy import gaussian, pictures
from brigade.policy.pictures import Encoders

# How firmly seats share out what is pointed at, before anything is learned.
SHARING = 16.0
# How much the logits of single choices count beside what is pointed at. They are for what sight
# does not tell (a thing out of reach); were they as quick to learn, an agent would drift to a
# favourite of its own.
DETAIL = 0.1
# How far from the mean a normalised column may be, in standard deviations.
LARGEST_DISTANCE = 10.0
# In an observation's own units: what varies less than that is as good as constant.
LEAST_DEVIATION = 1e-6


@dataclass(frozen=True)
class Network:
    """The shape of one agent's network.

    Attributes
    ----------
    num_features
        Length F of an observation; 0 where there are pictures alone.
    action_nvec
        Number of choices of each action component; empty where actions are continuous.
    hidden_size
        Width H of the two hidden layers.
    choices
        For each choice of the first action component the S columns of the observation that
        describe it, in the same order for all: ``[action_nvec[0]][S]``. Empty where there is
        nothing to point at.
    seats
        The columns of the observation that are 1 for the agent's own seat and 0 for the others, in
        order. Empty where agents do not share out what is pointed at.
    private
        For each choice the columns that tell what it is to the seat itself (that it owns it, say):
        ``[action_nvec[0]][S']``. They draw the seat, and have no part in what is shared out.
    drawn
        The columns of the logits that rise with how much the choices draw, all together. Empty
        where none does.
    masked
        Whether each observation comes with a mask of the choices that are open.
    signals
        Action components that work by what others make of them alone. All are computed alike; an
        update judges these in its own way.
    normalised
        The N columns of the observation that are normalised, ascending.
    num_continuous
        Numbers in a continuous action, D; 0 where actions are choices.
    squashed
        Whether the game is given the hyperbolic tangent of what a continuous action's Gaussian
        (:mod:`brigade.policy.gaussian`) draws, rather than that itself.
    state_dependent
        Whether the Gaussian's deviations depend on the observation. Otherwise they have weights
        that stay 0, and their biases are learned.
    pictures
        Height, width and channels of each picture that is observed besides.

    Raises
    ------
    ValueError
        ``choices`` do not fit the other numbers, or the others do not fit them; or actions are
        both choices and continuous, or neither; or nothing is observed.
    """

    num_features: int
    action_nvec: tuple[int, ...]
    hidden_size: int
    choices: tuple[tuple[int, ...], ...] = ()
    seats: tuple[int, ...] = ()
    private: tuple[tuple[int, ...], ...] = ()
    drawn: tuple[int, ...] = ()
    signals: tuple[int, ...] = ()
    masked: bool = False
    normalised: tuple[int, ...] = ()
    num_continuous: int = 0
    squashed: bool = False
    state_dependent: bool = False
    pictures: tuple[tuple[int, int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.num_features + len(self.pictures) < 1 or min(chain((1,), *self.pictures)) < 1:
            raise ValueError("nothing is observed, or a picture without pixels")
        columns = self.normalised
        if list(columns) != sorted(set(columns)) or not all(
            0 <= c < self.num_features for c in columns
        ):
            raise ValueError(f"normalised are not ascending columns of the {self.num_features}")
        if bool(self.action_nvec) == (self.num_continuous > 0):
            raise ValueError(
                f"{len(self.action_nvec)} components of choices and {self.num_continuous} "
                "continuous numbers, where actions have either"
            )
        if self.num_continuous and (self.choices or self.masked):
            raise ValueError("continuous actions have no choices to describe or to mask")
        if not self.num_continuous and (self.squashed or self.state_dependent):
            raise ValueError("choices have no deviation, and are not squashed")
        if not all(0 <= c < self.num_components for c in self.signals):
            raise ValueError(f"signals {self.signals} of {self.num_components} components")
        if not all(0 <= c < self.num_features for c in self.seats):
            raise ValueError(f"a seat's feature lies outside the {self.num_features}")
        if not self.choices and (self.seats or self.private or self.drawn):
            raise ValueError("no choices that seats could share out or own, or that could draw")
        if not all(self.action_nvec[0] <= c < self.num_logits for c in self.drawn):
            raise ValueError(f"drawn logits {self.drawn} are among the choices, or do not exist")
        for described in filter(None, (self.choices, self.private)):
            widths = {len(columns) for columns in described}
            if len(described) != self.action_nvec[0] or len(widths) != 1 or 0 in widths:
                raise ValueError(
                    f"{len(described)} choices with {sorted(widths)} features, where "
                    f"{self.action_nvec[0]} with as many each are needed"
                )
            if not all(0 <= c < self.num_features for columns in described for c in columns):
                raise ValueError(f"a choice's feature lies outside the {self.num_features}")

    @property
    def num_seen(self) -> int:
        """Features of each choice that all seats see alike, S."""
        return len(self.choices[0]) if self.choices else 0

    @property
    def num_private(self) -> int:
        """Features of each choice that are the seat's own, S'."""
        return len(self.private[0]) if self.private else 0

    @property
    def query_size(self) -> int:
        """Entries of the query, q: one for each feature, and last one for sharing."""
        return self.num_seen + self.num_private + bool(self.seats)

    @property
    def num_logits(self) -> int:
        """Logits of all action components together, L."""
        return sum(self.action_nvec)

    @property
    def num_components(self) -> int:
        """Components of an action, C; of continuous ones, D."""
        return len(self.action_nvec) + self.num_continuous

    @property
    def policy_size(self) -> int:
        """Outputs that the distribution over actions follows from: L, or 2 D."""
        return self.num_logits + 2 * self.num_continuous

    @property
    def deviations(self) -> slice:
        """Where among the outputs those are that a continuous action's deviations follow from."""
        return slice(self.num_continuous, 2 * self.num_continuous)

    @property
    def num_picture_bytes(self) -> int:
        """Bytes P of all pictures of an observation together."""
        return sum(map(prod, self.pictures))

    @property
    def input_size(self) -> int:
        """What goes into the first layer: the columns of the observation, then all features."""
        return self.num_features + pictures.FEATURES * len(self.pictures)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each tensor, in the order in which they lie in a row."""
        return self._weight_shapes | self._statistics_shapes

    @property
    def _weight_shapes(self) -> dict[str, tuple[int, ...]]:
        f, h, o = self.input_size, self.hidden_size, self.query_size + self.policy_size + 1
        return pictures.parameter_shapes(self.pictures) | {
            "hidden1.weight": (f, h),
            "hidden1.bias": (h,),
            "hidden2.weight": (h, h),
            "hidden2.bias": (h,),
            "heads.weight": (h, o),
            "heads.bias": (o,),
        }

    @property
    def _statistics_shapes(self) -> dict[str, tuple[int, ...]]:
        n = len(self.normalised)
        if not n:
            return {}
        return {
            "observations.count": (1,),
            # The mean is the sum of two, since one float32 would soon be too coarse to move.
            "observations.mean": (n,),
            "observations.mean_rest": (n,),
            "observations.deviation": (n,),
        }

    @property
    def num_parameters(self) -> int:
        """Length D of an agent's row."""
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def num_weights(self) -> int:
        """How many of them gradients move, the first ones; the others are statistics."""
        return sum(prod(shape) for shape in self._weight_shapes.values())

    @property
    def forward_flops(self) -> int:
        """Floating-point operations of products and convolutions for one observation."""
        products = 2 * sum(prod(shape) for shape in self.shapes.values() if len(shape) == 2)
        return products + pictures.forward_flops(self.pictures)

    def views(self, rows: Tensor) -> dict[str, Tensor]:
        """Name the tensors inside rows ``[K, D]``: views of shape ``[K, *shape]``."""
        views, start = {}, 0
        for name, shape in self.shapes.items():
            stop = start + prod(shape)
            views[name] = rows[:, start:stop].view(len(rows), *shape)
            start = stop
        return views

    def initial_row(self, generator: torch.Generator) -> Tensor:
        """Draw one agent's parameters, float32 ``[D]`` on the generator's (CPU) device.

        Orthogonal weights and zero biases, but for :data:`SHARING`; the policy head is small, so
        that an untrained agent acts almost uniformly (Andrychowicz et al. 2021, "What Matters in
        On-Policy RL"); continuous actions have a mean of about 0 and a deviation of about 1. The
        statistics of observations are those of nothing seen: count and mean 0, deviation 1.
        """
        row = torch.zeros(1, self.num_parameters)
        views = self.views(row)
        for name in self._weight_shapes:
            if name.endswith(".weight") and name != "heads.weight":
                torch.nn.init.orthogonal_(views[name][0], sqrt(2), generator)
        heads = views["heads.weight"][0]
        policy = torch.empty(self.hidden_size, heads.shape[1] - 1)
        heads[:, :-1] = torch.nn.init.orthogonal_(policy, 0.01, generator)
        heads[:, -1:] = torch.nn.init.orthogonal_(torch.empty_like(heads[:, -1:]), 1.0, generator)
        if self.seats:
            views["heads.bias"][0, self.query_size - 1] = SHARING
        if self.normalised:
            views["observations.deviation"].fill_(1.0)
        views["heads.bias"][0, self.deviations] = gaussian.INITIAL
        if not self.state_dependent:
            heads[:, self.deviations] = 0
        return row[0]

    def state_dict(self, row: Tensor) -> dict[str, Tensor]:
        """Split one agent's row ``[D]`` into named tensors (copies)."""
        return {name: view[0].clone() for name, view in self.views(row[None]).items()}

    def row(self, state_dict: dict[str, Tensor]) -> Tensor:
        """Join named tensors into one row ``[D]``.

        Raises
        ------
        ValueError
            A tensor is missing, superfluous or of another shape.
        """
        shapes = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
        if shapes != self.shapes:
            raise ValueError(f"policy has tensors {shapes}, this network needs {self.shapes}")
        return torch.cat([state_dict[name].reshape(-1).float() for name in self.shapes])


def aligned(
    count: int, *shape: int, device: torch.device, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Allocate ``[count, *shape]`` with each of the ``count`` at the beginning of a cache line.

    So that an agent's part is computed alike wherever in a stack it lies.
    """
    length = prod(shape)
    room = torch.empty(count, -(-length // 16) * 16, device=device, dtype=dtype)
    return room[:, :length].view(count, *shape)


@dataclass(frozen=True)
class Activations:
    """What a forward pass leaves for the backward pass; all ``[K, R, ...]``."""

    network: Network
    observations: Tensor  # [K, R, F]
    pictures: Tensor  # uint8 [K, R, P]
    inputs: Tensor  # [K, R, F + Z]: the same, then the pictures' features; without any, the same
    hidden1: Tensor  # [K, R, H], after ReLU
    hidden2: Tensor  # [K, R, H], after ReLU
    heads: Tensor  # [K, R, q + L + 1]: the query, then the outputs; 2 D for L where continuous
    choices: Tensor  # [K, R, C, S]: what is seen of the first component's choices
    private: Tensor  # [K, R, C, S']: what they are to the seat
    seat_ranks: Tensor  # [K, R, 1]: where the agent's seat stands, from -1 to 1
    attention: Tensor  # [K, R, C]: how much of it each choice draws
    balance: Tensor  # [K, R, C]: attention before a choice, less that behind it
    constants: Constants
    encoders: Encoders

    @property
    def outputs(self) -> Tensor:
        """Logits, then the value in normalised units, ``[K, R, L + 1]``; L or 2 D."""
        return self.heads[..., self.network.query_size :]

    @property
    def logits(self) -> Tensor:
        """Logits of all action components side by side, ``[K, R, L]``."""
        return self.heads[..., self.network.query_size : -1]

    @property
    def tie_break_gain(self) -> Tensor:
        """The query's last entry, k: how firmly seats share out, ``[K, R, 1]``."""
        return self.heads[..., self.network.query_size - 1 : self.network.query_size]

    @property
    def values(self) -> Tensor:
        """Value in the agent's normalised units, ``[K, R]``."""
        return self.heads[..., -1]

    @classmethod
    def empty(
        cls,
        network: Network,
        agents: int,
        rows: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> Activations:
        """Allocate buffers to compute into, so that no step of a loop has to."""

        def room(*shape: int) -> Tensor:
            return aligned(agents, rows, *shape, device=device, dtype=dtype)

        num_choices = len(network.choices)
        # Filled as one matrix of all agents' rows.
        observations = torch.empty(agents, rows, network.num_features, device=device, dtype=dtype)
        num_bytes = network.num_picture_bytes
        return cls(
            network=network,
            observations=observations,
            pictures=torch.zeros(agents, rows, num_bytes, device=device, dtype=torch.uint8),
            inputs=room(network.input_size) if network.pictures else observations,
            hidden1=room(network.hidden_size),
            hidden2=room(network.hidden_size),
            heads=room(network.query_size + network.policy_size + 1),
            choices=room(num_choices, network.num_seen),
            private=room(num_choices, network.num_private),
            seat_ranks=room(1),
            attention=room(num_choices),
            balance=room(num_choices),
            constants=Constants.of(network, device, dtype),
            encoders=Encoders(network.pictures),
        )


@dataclass(frozen=True)
class Constants:
    """What pointing, sharing and normalising need of the network's shape, on a device."""

    choices: Tensor  # int64 [C * S]: where an observation describes the choices
    private: Tensor  # int64 [C * S']: where it tells what they are to the seat
    seats: Tensor  # int64 [A]: where it tells the seat
    seat_ranks: Tensor  # [A]: the middle of each seat's stratum of [-1, 1]
    normalised: Tensor  # int64 [N]: which columns are normalised

    @classmethod
    def of(cls, network: Network, device: torch.device, dtype: torch.dtype) -> Constants:
        """Work them out."""
        columns, private = (
            torch.tensor([c for choice in described for c in choice], dtype=torch.int64)
            for described in (network.choices, network.private)
        )
        seats = len(network.seats)
        seat_ranks = [(2 * seat + 1) / seats - 1 for seat in range(seats)]
        return cls(
            columns.to(device),
            private.to(device),
            torch.tensor(network.seats, dtype=torch.int64, device=device),
            torch.tensor(seat_ranks, dtype=dtype, device=device),
            torch.tensor(network.normalised, dtype=torch.int64, device=device),
        )


def forward(parameters: dict[str, Tensor], buffers: Activations) -> Activations:
    """Compute logits and values of ``buffers.observations`` and ``pictures`` into ``buffers``.

    ``parameters`` are ``Network.views`` of rows ``[K, D]``. Returns ``buffers``, in which the
    observations are normalised now.
    """
    p, a = parameters, buffers
    if a.network.normalised:
        _normalise(p, a)
    if a.network.pictures:
        a.inputs[..., : a.network.num_features] = a.observations
        a.encoders.forward(p, a.pictures, a.inputs[..., a.network.num_features :])
    torch.baddbmm(p["hidden1.bias"].unsqueeze(1), a.inputs, p["hidden1.weight"], out=a.hidden1)
    a.hidden1.relu_()
    torch.baddbmm(p["hidden2.bias"].unsqueeze(1), a.hidden1, p["hidden2.weight"], out=a.hidden2)
    a.hidden2.relu_()
    torch.baddbmm(p["heads.bias"].unsqueeze(1), a.hidden2, p["heads.weight"], out=a.heads)
    if a.network.choices:
        _point(a)
        _draw(a)
    if a.network.seats:
        _share(a)
    if a.network.private:
        _claim(a)
    return a


def _normalise(parameters: dict[str, Tensor], a: Activations) -> None:
    """Normalise the observations where they lie."""
    columns, x = a.constants.normalised, a.observations
    some = len(columns) < a.network.num_features
    part = x.index_select(2, columns) if some else x
    # Without the rest of the mean, which is less than what tells two such observations apart.
    mean, deviation = parameters["observations.mean"], parameters["observations.deviation"]
    part.sub_(mean.unsqueeze(1)).div_(deviation.clamp(min=LEAST_DEVIATION).unsqueeze(1))
    part.clamp_(-LARGEST_DISTANCE, LARGEST_DISTANCE)
    if some:
        x.index_copy_(2, columns, part)


def _point(a: Activations) -> None:
    """Add to each choice's logit the query's product with what is seen of the choice."""
    torch.index_select(a.observations, 2, a.constants.choices, out=a.choices.flatten(2))
    seen = a.network.num_seen
    pointed = torch.bmm(a.choices.flatten(0, 1), _columns(a.heads[..., :seen]))
    logits = a.logits[..., : len(a.network.choices)]
    logits.mul_(DETAIL).add_(pointed.view(logits.shape))


def _draw(a: Activations) -> None:
    """Find the choices' attention, and add what they draw together to the logits that they draw."""
    logits = a.logits[..., : len(a.network.choices)]
    # The softmax is written out: over so few choices, torch's own takes nine times as long.
    most = logits.amax(-1, keepdim=True)
    torch.sub(logits, most, out=a.attention)
    total = a.attention.exp_().sum(-1, keepdim=True)
    a.attention.div_(total)
    for column in a.network.drawn:
        drawn = a.logits[..., column : column + 1]
        drawn.add_(total.log() + (most - log(len(a.network.choices))))


def _share(a: Activations) -> None:
    """Let seats share the choices out; see the head of this file."""
    logits = a.logits[..., : len(a.network.choices)]
    seats = a.observations[..., a.constants.seats] * a.constants.seat_ranks
    torch.sum(seats, -1, keepdim=True, out=a.seat_ranks)
    a.balance.copy_(_before_less_behind(a.attention))
    logits.addcmul_(a.tie_break_gain, _tie_break(a))


def _claim(a: Activations) -> None:
    """Add the query's product with what each choice is to the seat."""
    torch.index_select(a.observations, 2, a.constants.private, out=a.private.flatten(2))
    logits, seen = a.logits[..., : len(a.network.choices)], a.network.num_seen
    for i in range(a.network.num_private):
        logits.addcmul_(a.private[..., i], a.heads[..., seen + i : seen + i + 1])


def _tie_break(a: Activations) -> Tensor:
    """By how much an agent leans towards each choice, were its query's last entry 1."""
    return a.attention.square() * a.balance * (2 * a.seat_ranks - a.balance)


@dataclass(frozen=True)
class Gradients:
    """Room for a backward pass: the gradient rows, and the gradients of what lies between."""

    rows: Tensor  # [K, D]
    views: dict[str, Tensor]  # Network.views(rows)
    hidden1: Tensor  # [K, R, H]
    hidden2: Tensor  # [K, R, H]
    heads: Tensor  # [K, R, q + L + 1]

    @classmethod
    def empty(
        cls,
        network: Network,
        agents: int,
        rows: int,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> Gradients:
        """Allocate for K agents with R observations each."""
        flat = aligned(agents, network.num_parameters, device=device, dtype=dtype)
        heads = network.query_size + network.policy_size + 1
        room = [
            aligned(agents, rows, width, device=device, dtype=dtype)
            for width in (network.hidden_size, network.hidden_size, heads)
        ]
        return cls(flat, network.views(flat), *room)


def backward(
    parameters: dict[str, Tensor], activations: Activations, outputs: Tensor, gradients: Gradients
) -> Tensor:
    """Gradient of a loss for every parameter, given its gradient for the network's outputs.

    Written out because it then costs the matrix products and next to nothing else: each weight's
    gradient is multiplied straight into its place in the rows.

    Parameters
    ----------
    parameters, activations
        As for and from :func:`forward`.
    outputs
        Gradient for ``activations.outputs``, ``[K, R, L + 1]``.
    gradients
        Where to compute; ``gradients.rows`` ``[K, D]`` is returned.
    """
    p, a, g = parameters, activations, gradients
    if a.network.normalised:  # each time, as a gradient that was not finite may have been scaled
        g.rows[:, a.network.num_weights :].zero_()
    heads = _through_query(a, outputs, g.heads) if a.network.choices else outputs
    torch.bmm(a.hidden2.mT, heads, out=g.views["heads.weight"])
    if a.network.num_continuous and not a.network.state_dependent:
        g.views["heads.weight"][..., a.network.deviations].zero_()
    torch.sum(heads, dim=1, out=g.views["heads.bias"])
    torch.bmm(heads, p["heads.weight"].mT, out=g.hidden2)
    _through_relu(g.hidden2, a.hidden2)
    torch.bmm(a.hidden1.mT, g.hidden2, out=g.views["hidden2.weight"])
    torch.sum(g.hidden2, dim=1, out=g.views["hidden2.bias"])
    torch.bmm(g.hidden2, p["hidden2.weight"].mT, out=g.hidden1)
    _through_relu(g.hidden1, a.hidden1)
    torch.bmm(a.inputs.mT, g.hidden1, out=g.views["hidden1.weight"])
    torch.sum(g.hidden1, dim=1, out=g.views["hidden1.bias"])
    if a.network.pictures:
        first = a.network.num_features
        features = torch.bmm(g.hidden1, p["hidden1.weight"][:, first:].mT)
        a.encoders.backward(p, a.pictures, a.inputs[..., first:], features, g.views)
    return g.rows


def _through_query(a: Activations, outputs: Tensor, heads: Tensor) -> Tensor:
    """Gradient for the heads ``[K, R, q + L + 1]``, written into ``heads``."""
    seen, size, num_choices = a.network.num_seen, a.network.query_size, len(a.network.choices)
    pointed = outputs[..., :num_choices]
    for i in range(a.network.num_private):
        torch.sum(pointed * a.private[..., i], -1, out=heads[..., seen + i])
    if a.network.seats:
        torch.sum(pointed * _tie_break(a), -1, out=heads[..., size - 1])
        pointed = pointed + _through_attention(a, pointed)
    for column in a.network.drawn:
        pointed = torch.addcmul(pointed, outputs[..., column : column + 1], a.attention)
    by_sight = torch.bmm(a.choices.flatten(0, 1).mT, _columns(pointed))
    heads[..., :seen] = by_sight.view(*outputs.shape[:2], seen)
    torch.mul(pointed, DETAIL, out=heads[..., size : size + num_choices])
    heads[..., size + num_choices :] = outputs[..., num_choices:]
    return heads


def _through_attention(a: Activations, outputs: Tensor) -> Tensor:
    """Gradient for the logits that attention is the softmax of, given that for what seats add."""
    p, f, r = a.attention, a.balance, a.seat_ranks
    scaled = outputs * a.tie_break_gain * p
    by_balance = -_before_less_behind(scaled * p * (r - f))
    by_attention = 2 * (scaled * f * (2 * r - f) + by_balance)
    return p * (by_attention - (p * by_attention).sum(-1, keepdim=True))


def _before_less_behind(choices: Tensor) -> Tensor:
    """For each of the last axis' entries, the sum of those before it less that of those behind it.

    Not a matrix product: in one of so few columns, the processor's order of adding depends on where
    in a stack the rows lie.
    """
    sums = choices.cumsum(-1)
    return 2 * sums - choices - sums[..., -1:]


def _columns(rows: Tensor) -> Tensor:
    """Rows ``[K, R, n]`` as single columns ``[K * R, n, 1]``."""
    return rows.flatten(0, 1).unsqueeze(-1)


def _through_relu(gradient: Tensor, activation: Tensor) -> None:
    """Let the gradient pass, in place, where the activation was positive."""
    torch.ops.aten.threshold_backward.grad_input(gradient, activation, 0.0, grad_input=gradient)
