"""The stacked network: equal, agent by agent, to a plain torch network with autograd."""

import random
from math import log, prod, sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from brigade.policy import gaussian
from brigade.policy.network import (
    DETAIL,
    LARGEST_DISTANCE,
    LEAST_DEVIATION,
    SHARING,
    Activations,
    Gradients,
    Network,
    backward,
    forward,
)

SMALL = Network(
    num_features=7,
    action_nvec=(5, 2, 2),
    hidden_size=6,
    choices=((0, 5), (1, 5), (2, 6), (3, 6), (4, 4)),
    seats=(1, 3, 4),
    drawn=(6,),
)


def random_rows(network: Network, agents: int, seed: int, dtype=torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 0.5 * torch.randn(agents, network.num_parameters, generator=generator, dtype=dtype)


def activations_for(network: Network, observations: Tensor) -> Activations:
    k, rows, _ = observations.shape
    buffers = Activations.empty(network, k, rows, observations.device, observations.dtype)
    buffers.observations.copy_(observations)
    return buffers


def gradients_for(network: Network, observations: Tensor) -> Gradients:
    k, rows, _ = observations.shape
    return Gradients.empty(network, k, rows, observations.device, observations.dtype)


class Plain(nn.Module):
    """One agent as anyone would write it; torch keeps a layer's weight as [out, in]."""

    def __init__(self, network: Network, row: Tensor) -> None:
        super().__init__()
        tensors = network.state_dict(row)
        h, o = network.hidden_size, network.query_size + network.policy_size + 1
        self.network = network
        self.statistics = {n: t for n, t in tensors.items() if n.startswith("observations.")}
        self.layers = nn.ModuleDict(
            {
                "hidden1": nn.Linear(network.num_features, h),
                "hidden2": nn.Linear(h, h),
                "heads": nn.Linear(h, o),
            }
        ).to(row.dtype)
        for name, layer in self.layers.items():
            with torch.no_grad():
                layer.weight.copy_(tensors[f"{name}.weight"].T)
                layer.bias.copy_(tensors[f"{name}.bias"])

    def normalised(self, observations: Tensor) -> Tensor:
        observations = observations.clone()
        for i, column in enumerate(self.network.normalised):
            mean = self.statistics["observations.mean"][i]
            deviation = max(self.statistics["observations.deviation"][i], LEAST_DEVIATION)
            distance = (observations[:, column] - mean) / deviation
            observations[:, column] = distance.clip(-LARGEST_DISTANCE, LARGEST_DISTANCE)
        return observations

    def forward(self, observations: Tensor) -> Tensor:
        observations = self.normalised(observations)
        hidden = self.layers["hidden1"](observations).relu()
        heads = self.layers["heads"](self.layers["hidden2"](hidden).relu())
        query, outputs = heads[:, : self.network.query_size], heads[:, self.network.query_size :]
        count = len(self.network.choices)
        if not count:
            return outputs
        pointed = [
            (query[:, : len(columns)] * observations[:, list(columns)]).sum(1)
            for columns in self.network.choices
        ]
        logits = DETAIL * outputs[:, :count] + torch.stack(pointed, 1)
        others = outputs[:, count:].clone()
        for column in self.network.drawn:
            others[:, column - count] += logits.exp().mean(1).log()
        seats = len(self.network.seats)
        if seats:
            seat_ranks = sum(
                observations[:, column] * ((2 * seat + 1) / seats - 1)
                for seat, column in enumerate(self.network.seats)
            )
            attention = logits.softmax(1)
            tie_break = []
            for c in range(count):
                balance = attention[:, :c].sum(1) - attention[:, c + 1 :].sum(1)
                tie_break.append(attention[:, c] ** 2 * balance * (2 * seat_ranks - balance))
            logits = logits + query[:, -1:] * torch.stack(tie_break, 1)
        first, width = self.network.num_seen, self.network.num_private
        claims = [
            (query[:, first : first + width] * observations[:, list(columns)]).sum(1)
            for columns in self.network.private
        ]
        if claims:
            logits = logits + torch.stack(claims, 1)
        return torch.cat([logits, others], 1)

    def gradient(self) -> Tensor:
        """All gradients, laid out as a row."""
        found = {name: torch.zeros_like(tensor) for name, tensor in self.statistics.items()}
        for name, layer in self.layers.items():
            found[f"{name}.weight"] = layer.weight.grad.T
            found[f"{name}.bias"] = layer.bias.grad
        return torch.cat([found[name].reshape(-1) for name in self.network.shapes])


def passes(
    network: Network, rows: Tensor, observations: Tensor, outgoing: Tensor
) -> tuple[Tensor, Tensor]:
    views = network.views(rows)
    activations = forward(views, activations_for(network, observations))
    gradients = gradients_for(network, observations)
    return activations.outputs, backward(views, activations, outgoing, gradients).clone()


@settings(max_examples=25)
@given(
    agents=st.integers(1, 4),
    num_rows=st.integers(1, 9),
    features=st.integers(1, 12),
    hidden=st.integers(1, 9),
    nvec=st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple),
    query=st.integers(0, 3),
    seats=st.integers(0, 4),
    own=st.integers(0, 2),
    drawn=st.integers(0, 2),
    normalised=st.integers(0, 12),
    seed=st.integers(0, 2**31),
)
def test_forward_and_backward_are_those_of_plain_networks(
    agents, num_rows, features, hidden, nvec, query, seats, own, drawn, normalised, seed
):
    draw = random.Random(seed)
    choices, private = (
        tuple(tuple(draw.randrange(features) for _ in range(n)) for _ in range(nvec[0] * bool(n)))
        for n in (query, own * bool(query))
    )
    seat_ranks = tuple(draw.randrange(features) for _ in range(seats * bool(query)))
    beside = range(nvec[0], sum(nvec)) if query else ()
    columns = tuple(draw.sample(beside, min(drawn, len(beside))))
    measured = tuple(sorted(draw.sample(range(features), min(normalised, features))))
    network = Network(
        features, nvec, hidden, choices, seat_ranks, private, columns, normalised=measured
    )
    rows = random_rows(network, agents, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    observations = torch.randn(agents, num_rows, features, generator=generator, dtype=torch.float64)
    outgoing = torch.randn(
        agents, num_rows, network.num_logits + 1, generator=generator, dtype=torch.float64
    )
    outputs, gradient = passes(network, rows, observations, outgoing)
    for k in range(agents):
        model = Plain(network, rows[k])
        expected = model(observations[k])
        expected.backward(outgoing[k])
        torch.testing.assert_close(outputs[k], expected.detach(), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(gradient[k], model.gradient(), rtol=1e-10, atol=1e-12)


def test_float32_agrees_with_plain_networks_at_the_usual_size():
    houses = tuple(tuple(range(7 * house, 7 * house + 5)) for house in range(10))
    own = tuple((7 * house + 5, 7 * house + 6) for house in range(10))
    network = Network(90, (10, 2, 2), 64, houses, (70, 71, 72, 73), own, (11,))
    generator = torch.Generator().manual_seed(3)
    rows = torch.stack([network.initial_row(generator) for _ in range(3)])
    observations = torch.rand(3, 256, 90, generator=generator)
    outgoing = torch.randn(3, 256, 15, generator=generator) / 256
    outputs, gradient = passes(network, rows, observations, outgoing)
    for k in range(3):
        model = Plain(network, rows[k])
        expected = model(observations[k])
        expected.backward(outgoing[k])
        torch.testing.assert_close(outputs[k], expected.detach(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(gradient[k], model.gradient(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("what", ["observations", "weights", "outgoing", "nan"])
def test_another_agent_leaves_an_agents_gradient_bit_equal(what):
    generator = torch.Generator().manual_seed(0)
    rows = random_rows(SMALL, 3, 1, torch.float32)
    observations = torch.rand(3, 32, 7, generator=generator)
    outgoing = torch.randn(3, 32, SMALL.num_logits + 1, generator=generator)
    outputs, gradient = passes(SMALL, rows, observations, outgoing)
    changed = {"observations": observations, "weights": rows, "outgoing": outgoing}.get(what)
    if changed is None:
        observations[1] = float("nan")
    else:
        changed[1] = torch.randn(changed[1].shape, generator=generator)
    outputs_after, gradient_after = passes(SMALL, rows, observations, outgoing)
    for k in (0, 2):
        assert torch.equal(outputs[k], outputs_after[k])
        assert torch.equal(gradient[k], gradient_after[k])
    assert not torch.equal(gradient[1], gradient_after[1])


def test_logits_and_values_are_the_parts_of_the_outputs():
    observations = torch.rand(2, 5, 7, dtype=torch.float64)
    made = forward(SMALL.views(random_rows(SMALL, 2, 5)), activations_for(SMALL, observations))
    assert made.logits.shape == (2, 5, 9)
    assert made.values.shape == (2, 5)
    assert torch.equal(torch.cat([made.logits, made.values[..., None]], -1), made.outputs)


def test_views_cover_a_row_once_and_share_its_memory():
    rows = torch.zeros(2, SMALL.num_parameters)
    for view in SMALL.views(rows).values():
        view.add_(1)
    assert torch.equal(rows, torch.ones_like(rows))
    assert sum(prod(shape) for shape in SMALL.shapes.values()) == SMALL.num_parameters


@given(seed=st.integers(0, 2**31), hidden=st.integers(1, 6))
def test_a_row_goes_through_a_state_dict_and_back(seed, hidden):
    network = Network(4, (3, 2), hidden, normalised=(0, 2))
    row = random_rows(network, 1, seed, torch.float32)[0]
    state = network.state_dict(row)
    assert {name: tuple(t.shape) for name, t in state.items()} == network.shapes
    assert torch.equal(network.row(state), row)
    shuffled = dict(reversed(state.items()))
    assert torch.equal(network.row(shuffled), row), "the order of names does not matter"
    state["heads.bias"].add_(1)
    assert torch.equal(network.row(network.state_dict(row)), row), "a state dict is a copy"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s.pop("heads.bias"),
        lambda s: s.update(more=torch.zeros(1)),
        lambda s: s.update({"hidden1.weight": s["hidden1.weight"].T}),
    ],
    ids=["missing", "superfluous", "transposed"],
)
def test_a_state_dict_of_another_network_is_refused(spoil):
    state = SMALL.state_dict(torch.zeros(SMALL.num_parameters))
    spoil(state)
    with pytest.raises(ValueError, match="policy has tensors"):
        SMALL.row(state)


def test_initial_weights_are_orthogonal_and_the_policy_nearly_uniform():
    network = Network(num_features=40, action_nvec=(10, 2, 2), hidden_size=32)
    row = network.initial_row(torch.Generator().manual_seed(11))
    assert row.dtype == torch.float32
    weights = network.state_dict(row)
    one = torch.eye(32)
    for name, gain in (("hidden1.weight", sqrt(2)), ("hidden2.weight", sqrt(2))):
        gram = weights[name].T @ weights[name]
        torch.testing.assert_close(gram, gain**2 * one, rtol=0, atol=1e-5)
    assert all(not weights[f"{name}.bias"].any() for name in ("hidden1", "hidden2", "heads"))
    policy, value = weights["heads.weight"][:, :-1], weights["heads.weight"][:, -1]
    torch.testing.assert_close(policy.T @ policy, 1e-4 * torch.eye(14), rtol=0, atol=1e-8)
    torch.testing.assert_close(value.norm(), torch.tensor(1.0))
    logits = Plain(network, row)(torch.rand(100, 40))[:, :-1]
    assert logits.abs().max() < 0.1


@pytest.mark.parametrize("state_dependent", [False, True])
def test_continuous_actions_are_plain_outputs_of_which_deviations_may_be_biases(state_dependent):
    network = Network(7, (), 6, num_continuous=3, state_dependent=state_dependent)
    rows = random_rows(network, 2, 1)
    deviations = network.views(rows)["heads.weight"][..., network.deviations]
    if not state_dependent:
        deviations.zero_()
    generator = torch.Generator().manual_seed(2)
    observations = torch.randn(2, 5, 7, generator=generator, dtype=torch.float64)
    outgoing = torch.randn(2, 5, 7, generator=generator, dtype=torch.float64)
    outputs, gradient = passes(network, rows, observations, outgoing)
    assert outputs.shape == (2, 5, 7), "three means, three deviations and a value"
    for k in range(2):
        model = Plain(network, rows[k])
        expected = model(observations[k])
        expected.backward(outgoing[k])
        own = network.views(model.gradient()[None])
        if not state_dependent:
            assert (expected[:, network.deviations] == expected[0, network.deviations]).all()
            own["heads.weight"][..., network.deviations] = 0
        torch.testing.assert_close(outputs[k], expected.detach(), rtol=1e-10, atol=1e-12)
        for name, found in network.views(gradient[k : k + 1]).items():
            torch.testing.assert_close(found, own[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("state_dependent", [False, True])
def test_untrained_continuous_actions_are_about_standard_normal(state_dependent):
    network = Network(40, (), 32, num_continuous=5, state_dependent=state_dependent)
    row = network.initial_row(torch.Generator().manual_seed(11))
    outputs = Plain(network, row)(torch.rand(100, 40))
    means, log_deviations = gaussian.split(outputs[:, :-1])
    assert means.abs().max() < 0.1
    assert log_deviations.abs().max() < 0.1
    assert bool(log_deviations.std(0).any()) == state_dependent


@pytest.mark.parametrize(
    "fields",
    [
        {"action_nvec": ()},
        {"action_nvec": (2,), "num_continuous": 1},
        {"action_nvec": (2,), "squashed": True},
        {"action_nvec": (2,), "state_dependent": True},
        {"action_nvec": (), "num_continuous": 2, "masked": True},
        {"action_nvec": (), "num_continuous": 2, "choices": ((0,), (1,))},
    ],
    ids=str,
)
def test_actions_are_choices_or_continuous(fields):
    with pytest.raises(ValueError, match=r"continuous|choices"):
        Network(num_features=4, hidden_size=3, **fields)


def test_initial_weights_follow_from_the_generator_alone():
    torch.manual_seed(0)
    first = SMALL.initial_row(torch.Generator().manual_seed(5))
    torch.manual_seed(1)
    assert torch.equal(first, SMALL.initial_row(torch.Generator().manual_seed(5)))
    assert not torch.equal(first, SMALL.initial_row(torch.Generator().manual_seed(6)))


def test_flops_are_two_for_each_weight():
    f, h, o = 7, 6, 2 + 1 + 10
    assert SMALL.forward_flops == 2 * (f * h + h * h + h * o)


def test_what_is_learned_about_one_choice_holds_for_every_choice_of_the_same_features():
    observation = torch.tensor([0.3, -0.2, 0.3, 0.3, -0.2])
    network = Network(5, (5,), 4, tuple((i,) for i in range(5)))
    row = random_rows(network, 1, 2, torch.float32)
    only_by_sight = network.views(row)
    only_by_sight["heads.weight"][..., 1:] = 0
    only_by_sight["heads.bias"][..., 1:] = 0
    made = forward(only_by_sight, activations_for(network, observation.view(1, 1, 5)))
    logits = made.logits.flatten()
    assert torch.equal(logits[[0, 0, 1]], logits[[2, 3, 4]])
    assert logits[0] != logits[1]


def chosen_by_seat(fires: list[int], pull: float) -> Tensor:
    """What four seats would choose of ten houses, were each burning one worth ``pull``."""
    network = Network(14, (10,), 4, tuple((i,) for i in range(10)), seats=(10, 11, 12, 13))
    row = network.initial_row(torch.Generator().manual_seed(0))[None]
    network.views(row)["heads.bias"][..., 0] = pull
    observations = torch.zeros(1, 4, 14)
    observations[..., fires] = 1.0
    observations[0, :, 10:] = torch.eye(4)
    made = forward(network.views(row), activations_for(network, observations))
    return made.logits[0].softmax(-1)


@pytest.mark.parametrize(
    ("fires", "expected"),
    [
        ([6], [6, 6, 6, 6]),
        ([0, 1], [0, 0, 1, 1]),
        ([3, 9], [3, 3, 9, 9]),
        ([1, 4, 8], [1, 4, 4, 8]),
        ([0, 2, 5, 6], [0, 2, 5, 6]),
    ],
)
def test_seats_share_out_what_looks_alike(fires, expected):
    chosen = chosen_by_seat(fires, 8.0)
    assert chosen.argmax(-1).tolist() == expected
    if len(fires) == 1:
        assert (chosen[:, 6] > 0.99).all(), "a single fire draws every seat"


def test_what_is_a_seats_own_draws_it_and_has_no_part_in_sharing():
    described = (tuple((i,) for i in range(10)), tuple((10 + i,) for i in range(10)))
    network = Network(24, (10,), 4, described[0], (20, 21, 22, 23), described[1])
    row = network.initial_row(torch.Generator().manual_seed(0))[None]
    observations = torch.zeros(1, 4, 24)
    observations[..., [3, 7]] = 1.0  # two fires
    observations[0, 0, 17] = observations[0, 2, 13] = 1.0  # seats 0 and 2 own what others take
    observations[0, :, 20:] = torch.eye(4)

    def made(own: float) -> Activations:
        network.views(row)["heads.bias"][..., :2] = torch.tensor([8.0, own])
        return forward(network.views(row), activations_for(network, observations))

    usual = made(0.0)
    assert usual.logits[0].argmax(-1).tolist() == [3, 3, 7, 7]
    logits, attention = usual.logits.clone(), usual.attention.clone()
    drawn = made(9.0)
    assert torch.equal(drawn.attention, attention)
    assert drawn.logits[0].argmax(-1).tolist() == [7, 3, 3, 7]
    torch.testing.assert_close(drawn.logits - logits, 9.0 * observations[..., 10:20])


def drawn_to(pulls: Tensor) -> tuple[Tensor, Tensor]:
    """Chances to work, and query gradients of their logarithms, in a town of five houses.

    One row for each town: none burns, the first does, all do. The query is worth ``pulls`` [2] at
    a house that does not burn and at one that does.
    """
    towns = [[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 1, 1]]
    columns = tuple((i, 5 + i) for i in range(5))
    network = Network(10, (5, 2, 2), 4, columns, drawn=(6,))
    row = torch.zeros(1, network.num_parameters, dtype=torch.float64)
    network.views(row)["heads.bias"][..., :2] = pulls
    chances, gradients = [], []
    for town in towns:
        burning = torch.tensor(town, dtype=torch.float64)
        observation = torch.cat([1 - burning, burning]).view(1, 1, 10)
        activations = forward(network.views(row), activations_for(network, observation))
        mode = activations.logits[0, 0, 5:7].softmax(-1)
        outgoing = torch.zeros(1, 1, network.num_logits + 1, dtype=torch.float64)
        outgoing[0, 0, 5:7] = torch.stack([-mode[1], 1 - mode[1]])  # of log P(work)
        found = backward(
            network.views(row), activations, outgoing, gradients_for(network, observation)
        )
        chances.append(mode[1])
        gradients.append(network.views(found)["heads.bias"][0, :2].clone())
    return torch.stack(chances), torch.stack(gradients)


def test_to_rest_and_to_work_at_each_house_are_alternatives_of_one_softmax():
    safe, burning = -3.0, 4.0
    chances, _ = drawn_to(torch.tensor([safe, burning]))
    for chance, fires in zip(chances.tolist(), (0, 1, 5), strict=True):
        logits = torch.tensor([burning] * fires + [safe] * (5 - fires)) - log(5)
        working = torch.cat([logits, torch.zeros(1)]).softmax(0)[:5].sum()
        assert chance == pytest.approx(working.item(), rel=1e-5)
    assert chances[0] < 0.05
    assert (chances[1:] > 0.9).all()


def test_that_work_does_not_pay_where_nothing_burns_says_nothing_of_fires():
    _, gradients = drawn_to(torch.tensor([0.5, 0.5]))
    assert gradients[0, 0] > 0
    assert gradients[0, 1] == 0
    assert gradients[2, 0] == 0
    assert gradients[2, 1] > 0
    _, gradients = drawn_to(torch.tensor([-3.0, 4.0]))
    assert gradients[1, 1] > 10 * gradients[1, 0] > 0, "where one house burns, it is about that"


def test_an_untrained_agent_of_any_seat_acts_almost_uniformly():
    chosen = chosen_by_seat([2, 3], 0.0)
    assert (chosen - 0.1).abs().max() < 0.05


def test_agents_are_born_with_the_same_sharing():
    for seed in range(3):
        row = SMALL.initial_row(torch.Generator().manual_seed(seed))
        assert SMALL.state_dict(row)["heads.bias"].tolist() == [0.0, 0.0, SHARING] + [0.0] * 10


@pytest.mark.parametrize(
    "choices",
    [((0,),) * 4, ((0,), (1, 2), (0,), (0,), (0,)), ((),) * 5, ((7,),) * 5, ((-1,),) * 5],
    ids=["too few", "of two widths", "of nothing", "beyond the observation", "before it"],
)
def test_choices_that_do_not_fit_are_refused(choices):
    with pytest.raises(ValueError, match="choice"):
        Network(7, (5, 2, 2), 6, choices)
    with pytest.raises(ValueError, match="choice"):
        Network(7, (5, 2, 2), 6, ((0,),) * 5, private=choices)


def test_nothing_is_a_seats_own_where_there_is_no_choice():
    with pytest.raises(ValueError, match="no choices"):
        Network(7, (5, 2, 2), 6, private=((0,),) * 5)


@pytest.mark.parametrize("drawn", [(4,), (9,), (-1,)], ids=["a choice", "beyond", "before"])
def test_drawn_logits_that_do_not_fit_are_refused(drawn):
    with pytest.raises(ValueError, match="drawn"):
        Network(7, (5, 2, 2), 6, SMALL.choices, drawn=drawn)
    with pytest.raises(ValueError, match="no choices"):
        Network(7, (5, 2, 2), 6, drawn=(6,))


@pytest.mark.parametrize(
    ("choices", "seats"), [(SMALL.choices, (1, 7)), ((), (1, 2))], ids=["beyond", "of nothing"]
)
def test_seats_that_do_not_fit_are_refused(choices, seats):
    with pytest.raises(ValueError, match="seat"):
        Network(7, (5, 2, 2), 6, choices, seats)


def test_a_column_becomes_its_distance_from_the_mean_in_deviations():
    network = Network(4, (2,), 3, normalised=(0, 1, 3))
    row = network.initial_row(torch.Generator().manual_seed(0))[None]
    views = network.views(row)
    views["observations.mean"][:] = torch.tensor([1000.0, 0.25, 7.0])
    views["observations.deviation"][:] = torch.tensor([100.0, 0.5, 0.0])
    observations = torch.tensor([[[900.0, 0.5, 55.0, 7.0], [9e9, -0.25, -0.0, -3e38]]])
    made = forward(views, activations_for(network, observations))
    expected = torch.tensor([[[-1.0, 0.5, 55.0, 0.0], [10.0, -1.0, -0.0, -10.0]]])
    assert torch.equal(made.observations, expected)


def test_an_agent_that_has_seen_nothing_sees_what_there_is():
    plain, network = Network(3, (4,), 5), Network(3, (4,), 5, normalised=(1, 2))
    rows = [n.initial_row(torch.Generator().manual_seed(3))[None] for n in (plain, network)]
    assert torch.equal(rows[1][:, : network.num_weights], rows[0]), "weights are the same"
    observations = torch.randn(1, 6, 3, generator=torch.Generator().manual_seed(1))
    one, other = (
        forward(n.views(row), activations_for(n, observations)).outputs
        for n, row in zip((plain, network), rows, strict=True)
    )
    assert torch.equal(one, other)


def test_a_network_that_normalises_nothing_has_no_statistics():
    assert all(name.partition(".")[0] in ("hidden1", "hidden2", "heads") for name in SMALL.shapes)
    assert SMALL.num_weights == SMALL.num_parameters


@pytest.mark.parametrize("columns", [(1, 0), (0, 0), (3,), (-1,)])
def test_columns_that_cannot_be_normalised_are_refused(columns):
    with pytest.raises(ValueError, match="ascending columns of the 3"):
        Network(3, (2,), 4, normalised=columns)


def test_a_gradient_that_was_not_finite_leaves_nothing_behind():
    network = Network(3, (2,), 4, normalised=(0, 1))
    views = network.views(network.initial_row(torch.Generator().manual_seed(0))[None])
    observations, gradients = torch.ones(1, 5, 3), gradients_for(network, torch.ones(1, 5, 3))
    gradients.rows.fill_(float("nan"))
    made = forward(views, activations_for(network, observations))
    found = backward(views, made, torch.ones(1, 5, 3), gradients)
    assert torch.isfinite(found).all()
    assert not found[:, network.num_weights :].any()
