"""The encoders of pictures, against the same layers of torch.nn and their automatic gradients."""

import pytest
import torch
from torch import nn

from brigade.policy import pictures
from brigade.policy.build import described, read
from brigade.policy.network import Activations, Gradients, Network, backward, forward

SHAPES = [(16, 16, 1), (84, 22, 3), (40, 17, 4), (9, 36, 2), (3, 16, 16), (1, 20, 17)]
NETWORK = Network(
    num_features=2, action_nvec=(3, 2), hidden_size=8, pictures=((16, 16, 1), (40, 17, 3))
)


def drawn(network: Network, agents: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    rows = torch.stack([network.initial_row(generator) for _ in range(agents)]).double()
    noise = torch.randn(rows.shape, generator=generator, dtype=torch.float64)
    return (rows + 0.05 * noise).requires_grad_()


def plain_features(views: dict[str, torch.Tensor], seen: torch.Tensor, network: Network, k: int):
    """Features of one agent, by modules of torch.nn whose parameters are the agent's."""
    found, start = [], 0
    for number, shape in enumerate(network.pictures):
        size = shape[0] * shape[1] * shape[2]
        own = seen[:, start : start + size].reshape(-1, *shape).permute(0, 3, 1, 2).contiguous()
        start += size
        x = own.double() / 255
        p = {name: views[f"picture{number}.{name}"][k] for name in ("conv1.weight", "conv2.weight")}
        for layer, convolution in enumerate(pictures.convolutions(shape), start=1):
            weight = p[f"conv{layer}.weight"]
            module = nn.Conv2d(
                weight.shape[1], weight.shape[0], convolution.kernel, convolution.stride
            )
            bias = views[f"picture{number}.conv{layer}.bias"][k]
            x = torch.func.functional_call(module, {"weight": weight, "bias": bias}, x).relu()
            assert tuple(x.shape[2:]) == convolution.size
        flat = torch.stack([x[:, :, i, j] for i in range(x.shape[2]) for j in range(x.shape[3])], 1)
        weight = views[f"picture{number}.linear.weight"][k]
        bias = views[f"picture{number}.linear.bias"][k]
        found.append((flat.flatten(1) @ weight + bias).relu())
    return torch.cat(found, 1)


@pytest.mark.parametrize(
    "network",
    [
        NETWORK,
        *(
            Network(num_features=0, action_nvec=(2,), hidden_size=4, pictures=(shape,))
            for shape in SHAPES
        ),
    ],
    ids=lambda network: str(network.pictures),
)
@pytest.mark.parametrize("piece", [1, 1 << 22])
def test_outputs_and_gradients_are_those_of_plain_modules(network, piece, monkeypatch):
    monkeypatch.setattr(pictures, "PIECE", piece)
    agents, rows = 2, 3
    parameters = drawn(network, agents)
    views = network.views(parameters)
    generator = torch.Generator().manual_seed(6)
    here = Activations.empty(network, agents, rows, torch.device("cpu"), torch.float64)
    here.observations.normal_(generator=generator)
    here.pictures.random_(256, generator=generator)
    observed, seen = here.observations.clone(), here.pictures.clone()
    slopes = torch.randn(
        agents, rows, network.num_logits + 1, generator=generator, dtype=torch.float64
    )
    loss = torch.zeros((), dtype=torch.float64)
    outputs = []
    for k in range(agents):
        x = torch.cat([observed[k], plain_features(views, seen[k], network, k)], 1)
        for layer in ("hidden1", "hidden2"):
            x = (x @ views[f"{layer}.weight"][k] + views[f"{layer}.bias"][k]).relu()
        outputs.append(x @ views["heads.weight"][k] + views["heads.bias"][k])
        loss = loss + (outputs[k] * slopes[k]).sum()
    [wanted] = torch.autograd.grad(loss, parameters)
    with torch.no_grad():
        forward(network.views(parameters), here)
        room = Gradients.empty(network, agents, rows, torch.device("cpu"), torch.float64)
        room.rows.fill_(float("nan"))
        found = backward(network.views(parameters), here, slopes, room)
    assert torch.allclose(here.outputs, torch.stack(outputs), rtol=1e-9, atol=1e-11)
    assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-11)


def test_what_an_encoder_begins_with_is_orthogonal():
    row = NETWORK.initial_row(torch.Generator().manual_seed(1))
    for name, tensor in NETWORK.state_dict(row).items():
        if not name.startswith("picture"):
            continue
        if name.endswith("bias"):
            assert not tensor.any()
            continue
        matrix = tensor.flatten(1)
        if matrix.shape[0] > matrix.shape[1]:
            matrix = matrix.T
        assert torch.allclose(matrix @ matrix.T, 2 * torch.eye(len(matrix)), atol=1e-4)


def test_a_description_has_pictures_where_the_network_does():
    assert read(described(NETWORK)) == NETWORK
    without = Network(num_features=2, action_nvec=(3,), hidden_size=8)
    assert "pictures" not in described(without)


@pytest.mark.parametrize(
    ("shapes", "features"),
    [
        ([[16, 16]], 2),
        ([[16, 16, 0]], 2),
        ([[16, 16, -3]], 2),
        ([[1 << 20, 1 << 20, 1]], 2),
        ([[4096, 4096, 3]], 2),
        ([[3000, 3000, 1]], 2),
        ([[16, 16, 1]] * 300, 2),
        ([], 0),
        ("1", 2),
    ],
)
def test_networks_that_cannot_be_are_refused(shapes, features):
    fields = {"num_features": features, "action_nvec": [2], "hidden_size": 4, "pictures": shapes}
    with pytest.raises(ValueError, match=r"."):
        read(fields)
