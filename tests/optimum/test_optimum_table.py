"""What people get to see."""

import io
import json
import math
import sys

import pytest
from rich.console import Console

from brigade import cli, load_scenario, scenario_names
from brigade.optimum import optimum_content, print_optimum, reference_values, solve
from brigade.optimum.__main__ import main
from brigade.optimum.decisions import all_spreads, even_spread


def printed(optimum, **options):
    console = Console(file=io.StringIO(), width=100)
    print_optimum(optimum, "a name", console=console, **options)
    return console.file.getvalue()


def test_table_gives_value_bound_policies_and_decisions():
    text = printed(solve(load_scenario("easy")))
    assert "a name" in text
    assert "optimum 5850.5042 per agent, exact to" in text
    for policy in ("random", "resting", "spread", "best discounted", "best per night"):
        assert policy in text
    assert "From night 0 on" in text
    assert "2+1+1" in text


def test_nights_with_other_decisions_get_their_own_table():
    text = printed(solve(load_scenario("easy"), max_nights=15), max_burning=2)
    assert "games cut after 15 nights" in text
    assert "to 14" in text or "Night 14" in text
    assert "From night" not in text


def test_idle_work_is_shown():
    text = printed(solve(load_scenario("easy", action_shaping_beta=5.0)))
    assert "0 burning" in text
    assert "safe" in text


def test_markdown_holds_every_exact_scenario(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["brigade.optimum", "--num-agents", "2"])
    main()
    text = capsys.readouterr().out
    for name in scenario_names():
        exact = name not in ("positional_default", "default_continuous")
        assert text.count(f"| `{name}` |") == (3 if exact else 0)


@pytest.mark.parametrize(
    ("num_agents", "burning", "crews"),
    [(4, 0, ()), (4, 1, (4,)), (4, 3, (2, 1, 1)), (4, 9, (1, 1, 1, 1)), (1, 2, (1,))],
)
def test_even_spread(num_agents, burning, crews):
    assert even_spread(num_agents, burning) == crews


@pytest.mark.parametrize(("num_agents", "num_houses"), [(1, 2), (4, 10), (8, 3), (10, 10)])
def test_spreads_are_all_partitions_with_true_chances(num_agents, num_houses):
    spreads = all_spreads(num_agents, num_houses, 0.3)
    assert len(set(spreads.crews)) == len(spreads.crews)
    for crews, put_out in zip(spreads.crews, spreads.put_out, strict=True):
        assert sum(crews) <= num_agents
        assert len(crews) <= num_houses
        assert list(crews) == sorted(crews, reverse=True)
        assert put_out.sum() == pytest.approx(1.0)
        mean = sum(k * chance for k, chance in enumerate(put_out))
        assert mean == pytest.approx(sum(1 - 0.7**size for size in crews))
        assert put_out[0] == pytest.approx(math.prod(0.7**size for size in crews))
    if num_houses >= num_agents:
        partitions = [1, 1, 2, 3, 5, 7, 11, 15, 22, 30, 42]
        assert len(spreads.crews) == sum(partitions[: num_agents + 1])


@pytest.mark.parametrize(
    ("name", "options"),
    [("easy", {"max_nights": 15}), ("rest_trap", {}), ("v2_minimal", {"objective": "per-night"})],
)
def test_plain_data_has_all_that_was_found(name, options):
    scenario = load_scenario(name)
    optimum = solve(scenario, **options)
    content = json.loads(json.dumps(optimum_content(optimum, name), allow_nan=False))
    assert (content["scenario"], content["num_houses"]) == (name, scenario.num_houses)
    assert (content["optimum"], content["error_bound"]) == (optimum.value, optimum.error_bound)
    values = reference_values(scenario, max_nights=options.get("max_nights"))
    assert list(content["policies"]) == list(values)
    for policy, value in values.items():
        assert content["policies"][policy]["discounted_return"] == value.discounted_return
    stretches = content["decisions"]
    assert stretches[0]["first_night"] == 0
    lasts = [stretch["last_night"] for stretch in stretches]
    assert lasts[-1] == (options["max_nights"] - 1 if "max_nights" in options else None)
    for stretch, last in zip(stretches[1:], lasts, strict=False):
        assert stretch["first_night"] == last + 1
    for stretch in stretches:
        for ruined, row in enumerate(stretch["crews"]):
            for burning, crews in enumerate(row):
                decision = optimum.decision(stretch["first_night"], burning, ruined)
                assert tuple(crews) == decision.crews


def test_the_command_prints_one_line_of_json(capsys):
    assert cli.main(["optimum", "v2_minimal", "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line, parse_constant=pytest.fail)["scenario"] == "v2_minimal"
