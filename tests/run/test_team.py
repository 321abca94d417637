"""Trained and scripted agents in any mix: how they are written, how they play and are measured."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import brigade
from brigade import cli, interrupt
from brigade.config import RunConfig, convert
from brigade.env.batched import BatchedEnv
from brigade.env.scenarios import load_scenario
from brigade.games.bucket_brigade import describe
from brigade.play import GameRecord
from brigade.ppo.agents import initial_state
from brigade.run import evaluate as evaluation
from brigade.run.agents import Ensemble
from brigade.run.evaluate import EvaluateConfig, evaluate
from brigade.run.measure import measure, play
from brigade.run.team import Source, load_team, parse_source, parse_team
from brigade.sim.preparation import population_of
from brigade.sim.statistics import Statistics
from brigade.store.checkpoint import Checkpoint, save

from .processes import DEADLINE_SECONDS, SMALL, run, start, wait_for

RUNS = Path("experiments/marl/checkpoints")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of four agents, ``first``."""
    folder = tmp_path_factory.mktemp("runs")
    run(folder, "train", *SMALL, "--run-name", "first")
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


def untrained(
    path: Path, scenario: str = "easy", seats: int = 2, size: int = 3, seed: int = 0
) -> None:
    """Write the checkpoint of a population that has learned nothing."""
    config = RunConfig(
        scenario=scenario,
        population_size=size,
        num_agents_per_game=seats,
        hidden_size=4,
        seed=seed,
    )
    game = describe(load_scenario(scenario), seats)
    population = population_of(config, game)
    states = [initial_state(population.network, seed, agent) for agent in range(size)]
    statistics = Statistics(size).to_dict()
    save(path, Checkpoint("id", config, game, population, states, statistics, {}))


# ---- as they are written ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seats"),
    [
        ("hero", ["hero"]),
        ("archetype:hero,firefighter", ["hero", "firefighter"]),
        ("random, spread ,archetype:liar", ["random", "spread", "liar"]),
        ("first", [None]),
        ("first:3", [3]),
        ("first:0-3", [0, 1, 2, 3]),
        ("first:0-1,3", [0, 1, 3]),
        ("first:3,0,0-1", [3, 0, 0, 1]),
        ("first:0-1,hero,first:3,2,spread", [0, 1, "hero", 3, 2, "spread"]),
        ("hero,x.pt:1,0,first:2", ["hero", 1, 0, 2]),
        ("a,b.pt:1,0", [1, 0]),
        ("a,b.pt", [None]),
    ],
)
def test_a_team_is_read(
    text: str,
    seats: list[str | int | None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (RUNS / "first").mkdir(parents=True)
    for name in ("x.pt", "a,b.pt"):
        Path(name).touch()
    found: list[str | int | None] = []
    for part in parse_team(text):
        if isinstance(part, str):
            found.append(part)
        else:
            found += [None] if part.agents is None else part.agents
    assert found == seats


def test_a_source_with_a_colon_in_its_name_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run:3"
    path.mkdir()
    assert parse_source(str(path)) == Source(str(path), str(path))
    assert parse_source(f"{path}:0") == Source(f"{path}:0", str(path), (0,))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("first:0-2", "first:0-2: 3 agents for games of 4 seats; name one for each seat"),
        ("first:3", "first:3: 1 agent for games of 4 seats"),
        ("first:4,0-2", "first:4,0-2: it has agents 0-3"),
        ("first:0,first:9,hero,hero", "first:9: it has agents 0-3"),
        ("first:3-1", "'3-1' is not like 0-3,7"),
        ("first:one", "'one' is not like 0-3,7"),
        ("first:", "'' is not like 0-3,7"),
        ("first,hero,hero,hero", "first: say which of its agents are meant, as in first:0"),
        ("herro", "herro: no such file, no run in experiments/marl/checkpoints, and no one of"),
        ("herro", "did you mean hero?"),
        ("first:0-1,2,hero,9", "9: no such file"),
        ("hero,,hero", "one agent for each seat"),
        ("archetype:nobody,hero", "'nobody' is not an archetype; known: firefighter"),
        ("a,b.pt:0,hero", "a,b.pt:0: a comma divides seats"),
        ("small.pt:0,first:0-2", "small.pt was trained on easy and first on default"),
        ("first:0-1,x.pt:0-1", "x.pt was trained with 10 houses and 2 seats; default has 10 and 4"),
        ("text.pt:0-3", "text.pt is not a readable checkpoint"),
    ],
)
@pytest.mark.parametrize("command", ["play", "evaluate"])
def test_what_is_wrong_with_a_team_is_one_line(
    here: Path,
    command: str,
    text: str,
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    untrained(Path("small.pt"))
    untrained(Path("x.pt"), "default")
    untrained(Path("a,b.pt"))
    Path("text.pt").write_text("this is no checkpoint\n")
    assert cli.main([command, text]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    [line] = err.splitlines()
    assert line.startswith(f"brigade {command}: ")
    assert says in line


# ---- as they play -------------------------------------------------------------------------------


def test_a_game_of_trained_and_scripted_agents_is_played_again_by_its_seed(
    here: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [tmp_path / f"{number}.json" for number in range(3)]
    words = ["first:1,0,archetype:hero,spread", "--max-cycles", "8"]
    for record, seed in zip(records, ("5", "5", "6"), strict=True):
        assert cli.main(["play", *words, "--seed", seed, "--record", str(record)]) == 0
    once, again, other = map(GameRecord.load, records)
    assert once == again
    assert once != other
    assert once.scenario == load_scenario("default")
    capsys.readouterr()
    assert cli.main(["play", "--team", *words, "--seed", "5"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[1] for row in rows if row[:1] in (["0"], ["1"], ["2"], ["3"])] == [
        *("first:1", "first:0", "hero", "spread")
    ]


def test_the_trained_agents_act_as_they_do_when_asked_one_by_one(
    here: Path, tmp_path: Path
) -> None:
    """The batch of one checkpoint gives each row its own agent's action."""
    untrained(Path("other.pt"), "default", seats=4, size=4, seed=3)
    team = load_team("first:3,1,other.pt:2,1")
    rows = BatchedEnv(64, "default", num_agents=4, seed=3).reset().reshape(256, -1)
    who = np.random.default_rng(1).integers(0, 4, 256)
    rng = np.random.default_rng(1)
    actions = Ensemble(team, greedy=True).act(rows, who, rng)
    alone = [
        brigade.load_agents(path, greedy=True)[number].act(rows, rng)
        for path, number in (("first", 3), ("first", 1), ("other.pt", 2), ("other.pt", 1))
    ]
    assert np.array_equal(actions, np.stack(alone)[who, np.arange(256)])
    assert len({each.tobytes() for each in alone}) > 1


def test_a_run_alone_is_its_population_and_every_seat_is_drawn(here: Path) -> None:
    team = load_team("first")
    games = team.seated(50, seed=1)
    assert (np.sort(games, axis=1) == np.arange(4)).all(), "nobody sits twice in a game"
    assert len(np.unique(games, axis=0)) > 1
    assert cli.main(["play", "first", "--seed", "1", "--max-cycles", "2"]) == 0


def test_a_game_of_another_scenario_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["first:0-3", "--scenario", "hard", "--seed", "1"]
    assert cli.main(["play", *words, "--max-cycles", "2"]) == 0
    assert capsys.readouterr().err == "first was trained on default\n"
    assert cli.main(["evaluate", *words, "--episodes", "4", "--max-nights", "5"]) == 0
    said = capsys.readouterr().out
    assert "first:0-3 on hard: 4 games" in said
    assert "first was trained on default\n" in said
    assert cli.main(["play", "first:0-3", "--scenario", "v2_minimal"]) == 2
    assert "first was trained with 10 houses and 4 seats; v2_minimal has 2 and 4" in (
        capsys.readouterr().err
    )


def test_two_checkpoints_of_one_name_are_told_apart(here: Path, tmp_path: Path) -> None:
    other = tmp_path / "first"
    shutil.copytree(RUNS / "first", other)
    team = load_team(f"first:0-1,{other}:0-1")
    assert team.names == ["first:0", "first:1", f"{other}:0", f"{other}:1"]
    assert load_team(f"{other}/final_checkpoint.pt:0-3").names[0] == "first:0"


def test_to_begin_with_agents_is_written_alike(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["train", *SMALL, "--from", "first:4", "--run-name", "second"]) == 2
    assert "--from first:4: it has agents 0-3" in capsys.readouterr().err
    assert not (RUNS / "second").exists()


# ---- as they are measured -----------------------------------------------------------------------


def evaluated(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert cli.main(["evaluate", *words, "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    content: dict[str, object] = json.loads(line, parse_constant=pytest.fail)
    return content


def test_a_mixed_team_is_measured_agent_by_agent(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--episodes", "20", "--max-nights", "20"]
    found = evaluated(capsys, "first:2,2,archetype:hero,spread", *few)
    agents = found["agents"]
    assert isinstance(agents, dict)
    assert list(agents) == ["first:2", "hero", "spread"]
    assert all(figures["games"] == 20 for figures in agents.values())
    assert (found["games"], found["games_ended"], found["interrupted"]) == (20, 20, False)
    weights = {"first:2": 2, "hero": 1, "spread": 1}
    mean = sum(weights[name] * agents[name]["mean_return"] for name in weights) / 4
    assert found["overall"] == pytest.approx(found["overall"] | {"mean_return": mean})


def test_scripted_names_fill_the_seats_of_a_game_as_before(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ["--episodes", "6", "--max-nights", "9"]
    assert evaluated(capsys, "archetype:hero,liar", *few) == evaluated(
        capsys, "hero,liar,hero,liar", *few
    )


def test_every_figure_has_its_interval(here: Path) -> None:
    """Against the textbook's formula for the mean of independent games, and its table."""
    config = convert(EvaluateConfig, {"what": "hero", "episodes": 40, "max_nights": 30})
    games = evaluate(config).games
    found = measure(games, np.ones((40, 4), np.bool_))
    nights = games.lengths.astype(float)
    pay = games.returns.sum(axis=1) / nights
    for values, interval in ((nights, found.length_interval), (pay, found.team_interval)):
        assert interval == pytest.approx(2.0227 * np.sqrt(values.var(ddof=1) / 40), rel=1e-4)


def test_of_many_agents_the_best_and_the_worst_are_shown_and_all_are_in_the_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    untrained(Path("many.pt"), size=200)
    words = ["many.pt", "--episodes", "300", "--max-nights", "12"]
    agents = evaluated(capsys, *words)["agents"]
    assert isinstance(agents, dict)
    assert len(agents) == 200
    assert cli.main(["evaluate", *words]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    start = next(number for number, line in enumerate(lines) if line[:1] == ["agent"]) + 1
    ranked = sorted(agents, key=lambda name: -agents[name]["discounted_return"])
    shown = [line[0] for line in lines[start : start + 12]]
    assert shown == [*ranked[:5], "190", *ranked[-5:], "all"]


@pytest.mark.parametrize("width", [30, 40, 80, 200])
def test_no_figure_is_cut_or_wrapped_in_a_narrow_terminal(
    width: int,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    few = ["--episodes", "8", "--max-nights", "30"]
    found = evaluated(capsys, "first:0-1,hero,spread", *few)
    assert cli.main(["evaluate", "first:0-1,hero,spread", *few]) == 0
    said = capsys.readouterr().out
    lines = said.splitlines()
    heads = [number for number, line in enumerate(lines) if line.startswith("agent ")]
    tables = [line for head in heads for line in lines[head : head + 6]]
    assert all(len(line.rstrip()) <= width for line in tables)
    assert sum(line.startswith("all ") for line in tables) == len(heads)
    overall = found["overall"]
    assert isinstance(overall, dict)
    assert f"{overall['mean_return']:,.0f} " in said


# ---- cut off ------------------------------------------------------------------------------------


@pytest.mark.parametrize("commitment", ["simultaneous", "two_phase"])
def test_what_ctrl_c_leaves_are_the_same_games_cut_after_that_night(commitment: str) -> None:
    scenario = load_scenario("default", commitment_mode=commitment)
    agents = np.tile(np.arange(4), (30, 1))

    def games(max_nights: int, stop: int | None) -> tuple[BatchedEnv, object]:
        env = BatchedEnv(30, scenario, 4, max_cycles=max_nights)
        rng = np.random.default_rng(1)
        hero = brigade.HeuristicAgent("hero", scenario, 4)

        def act(observations, live):  # type: ignore[no-untyped-def]
            rows = observations[live].reshape(len(live) * 4, -1)
            return hero.act(rows, rng).reshape(len(live), 4, 3)

        def report(night: int, ended: int) -> None:
            if night == stop:
                signal.raise_signal(signal.SIGINT)

        return play(env, agents, act, 7, report)

    before = signal.getsignal(signal.SIGINT)
    try:
        interrupt.watch()
        partial = games(1000, stop=15)
        assert not interrupt.take(), "it was heeded"
    finally:
        signal.signal(signal.SIGINT, before)
    whole = games(15, stop=None)
    assert partial.cut_off
    assert 0 < partial.ended.sum() < 30
    assert partial.lengths.max() == 15
    for part in ("returns", "discounted", "lengths"):
        assert np.array_equal(getattr(partial, part), getattr(whole, part)), part


@pytest.mark.parametrize("how", [(), ("--json",)])
def test_ctrl_c_gives_what_there_is(here: Path, tmp_path: Path, how: tuple[str, ...]) -> None:
    words = ["evaluate", "first:0-1,archetype:hero,spread", "--episodes", "20000", *how]
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = start(here, *words, stdout=stdout, stderr=stderr)
        try:
            wait_for(lambda: "games ended, night" in err.read_text(), err.read_text)
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_SECONDS) == 130, err.read_text()
        finally:
            process.kill()
            process.wait()
    said = out.read_text()
    assert "Traceback" not in err.read_text()
    assert all("games ended, night" in line for line in err.read_text().splitlines())
    if how:
        found = json.loads(said)
        assert found["interrupted"]
        assert 0 <= found["games_ended"] < found["games"] == 20000
        assert 0 < found["max_nights"] < 1000
        assert found["normalised_score"] is None
    else:
        assert "of the 20000 games had ended, and the figures are partial" in said


def test_ctrl_c_while_the_optimum_is_computed_keeps_the_games(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation.Evaluation, "normalised_score", interrupted)
    words = ["evaluate", "first", "--episodes", "4", "--max-nights", "5"]
    assert cli.main(words) == 130
    assert "cut off before the optimum was known; the games are complete" in capsys.readouterr().out
    assert cli.main([*words, "--json"]) == 130
    found = json.loads(capsys.readouterr().out)
    assert (found["games"], found["games_ended"], found["interrupted"]) == (4, 4, True)
