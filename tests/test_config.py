"""The config: the guide's defaults, ranges that are kept, and errors that name the setting."""

import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brigade.config import ConfigError, PPOConfig, RunConfig, convert
from brigade.env.scenarios import load_scenario
from brigade.flags import Settings
from brigade.games.bucket_brigade import describe
from brigade.games.spec import GameSpec
from brigade.run.options import RuntimeOptions
from brigade.run.resolve import resolve
from brigade.sim.matchmaking import steps_per_rollout
from brigade.values import as_arguments, flag

GUIDE = {
    "scenario": "trivial_cooperation",
    "population_size": 8,
    "num_games": None,
    "num_agents_per_game": 4,
    "num_episodes": 10000,
    "hidden_size": 512,
    "learning_rate": 3e-4,
    "batch_size": 256,
    "num_epochs": 4,
    "update_interval": 100,
    "matchmaking": "round_robin",
    "seed": None,
    "run_name": None,
    "log_interval": 100,
    "checkpoint_interval": 1000,
    "gamma": 0.99,
    "clip": 0.2,
    "value_coef": 0.5,
    "entropy_coef": 0.01,
    "max_grad_norm": 0.5,
    "sync": "overlap",
}


def refusal(**values) -> str:
    with pytest.raises(ConfigError) as refused:
        convert(RunConfig, values)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def plain(config: RunConfig) -> dict:
    return {name: getattr(config, name) for name in config.__struct_fields__}


def test_the_defaults_are_the_guides():
    config = RunConfig()
    assert {name: getattr(config, name) for name in GUIDE} == GUIDE


def game_of(seats: int) -> GameSpec:
    return describe(load_scenario("default"), seats)


def test_a_default_update_uses_6400_fresh_transitions():
    assert PPOConfig().rollout_transitions == 6400
    assert [RunConfig(population_size=n).games for n in (4, 8, 9, 64)] == [64, 64, 72, 512]
    assert RunConfig(population_size=64, num_games=3).games == 3
    assert resolve(RuntimeOptions(population_size=64)).config.num_games == 512, (
        "config.json tells it"
    )
    # Of 64 games with 4 seats, for 8 agents.
    assert steps_per_rollout(RunConfig(), game_of(4)) == 200


@given(
    interval=st.integers(1, 300),
    batch=st.integers(2, 600),
    epochs=st.integers(1, 20),
    population=st.integers(1, 70),
    games=st.integers(1, 300),
    seats=st.integers(1, 9),
)
def test_a_rollout_gives_each_agent_its_transitions_on_average(
    interval, batch, epochs, population, games, seats
):
    config = RunConfig(
        update_interval=interval,
        batch_size=batch,
        num_epochs=epochs,
        population_size=max(population, seats),
        num_games=games,
        num_agents_per_game=seats,
    )
    wanted = config.rollout_transitions * config.num_agents
    assert config.rollout_transitions == max(1, interval * batch // epochs)
    steps = steps_per_rollout(config, game_of(seats))
    assert (steps - 1) * games * seats < wanted <= steps * games * seats


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("population_size", 0),
        ("num_games", 0),
        ("num_agents_per_game", 0),
        ("num_episodes", 0),
        ("num_transitions", 0),
        ("hidden_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", math.inf),
        ("learning_rate", math.nan),
        ("batch_size", 1),
        ("num_epochs", 0),
        ("update_interval", 0),
        ("gamma", -0.1),
        ("gamma", 1.1),
        ("gamma", math.nan),
        ("gae_lambda", 1.5),
        ("clip", 0.0),
        ("clip", math.inf),
        ("value_coef", -1.0),
        ("value_coef", math.inf),
        ("entropy_coef", -0.5),
        ("entropy_coef", math.inf),
        ("max_grad_norm", 0.0),
        ("optimism", -0.1),
        ("optimism", 1.5),
        ("popart_rate", 0.0),
        ("popart_rate", 1.5),
        ("max_lag", 0),
        ("max_nights", 0),
        ("team_spirit", 1.5),
        ("seed", -1),
        ("seed", 2**63),
        ("seed", 1.5),
        ("log_interval", 0),
        ("checkpoint_interval", -5),
        ("population_size", "eight"),
        ("population_size", 8.5),
        ("population_size", None),
        ("population_size", True),
        ("population_size", [8]),
        ("anneal", "maybe"),
        ("sync", "never"),
        ("matchmaking", "fair"),
        ("on_learner_loss", "cry"),
        ("scenario", 5),
    ],
)
def test_a_value_out_of_range_is_named_with_its_setting(name, value):
    sentence = refusal(**{name: value})
    assert flag(name) in sentence
    assert str(value) in sentence


@pytest.mark.parametrize("name", ["a/b", "", " ", "..", ".", "a b", "x\n", "../up", "/abs", "~"])
def test_a_run_name_is_one_folder(name):
    sentence = refusal(run_name=name)
    assert "--run-name" in sentence


@pytest.mark.parametrize("name", ["easy_pop8_20260101-120000", "a.b", "lr=1e-3,seed+1", "Zoë"])
def test_usual_run_names_are_taken(name):
    assert convert(RunConfig, {"run_name": name}).run_name == name


def test_a_population_too_small_for_a_game_is_refused_in_the_guides_words():
    sentence = refusal(population_size=3)
    assert sentence.startswith("Population size must be >= num_agents_per_game")
    assert "3" in sentence
    assert convert(RunConfig, {"population_size": 3, "num_agents_per_game": 3}).population_size == 3


def test_an_unknown_setting_is_named():
    assert "populaton_size" in refusal(populaton_size=3)


def test_text_from_the_command_line_is_read_as_the_fields_type():
    config = convert(
        RunConfig,
        {"population_size": "12", "gamma": "0.5", "anneal": "true", "seed": "7", "clip": "1e-1"},
    )
    assert (config.population_size, config.gamma, config.anneal) == (12, 0.5, True)
    assert (config.seed, config.clip) == (7, 0.1)


@given(
    seed=st.none() | st.integers(0, 2**63 - 1),
    gamma=st.floats(0, 1),
    spirit=st.floats(0, 1),
    sync=st.sampled_from(["lockstep", "overlap", "async"]),
)
def test_a_config_goes_through_json_and_messages_and_back(seed, gamma, spirit, sync):
    config = RunConfig(seed=seed, gamma=gamma, team_spirit=spirit, sync=sync)
    assert convert(RunConfig, json.loads(json.dumps(plain(config)))) == config
    assert convert(RunConfig, msgspec.to_builtins(config)) == config


def test_a_config_does_not_change():
    with pytest.raises(AttributeError):
        RunConfig().gamma = 0.5


def test_a_runs_id_follows_from_what_decides_its_result():
    game = load_scenario("default").to_dict()

    def name(begun_from: str = "", **settings) -> str:
        return RunConfig(**({"seed": 3} | settings)).identity(game, begun_from)

    for harmless in (
        {"run_name": "x"},
        {"checkpoint_dir": "/somewhere/else"},
        {"log_interval": 7},
        {"checkpoint_interval": 7},
        {"scenario": "a/copy/of/default.toml"},  # what counts is what is in it
        {"gamma": 0.99},
    ):
        assert name(**harmless) == name()
    others = [
        name(seed=4),
        name(gamma=0.98),
        name(num_games=65),
        name(num_transitions=10**6),
        name("some agents"),
        RunConfig(seed=3).identity(load_scenario("default", min_nights=3).to_dict()),
    ]
    assert len({name(), *others}) == 7


def test_a_setting_that_is_new_does_not_change_the_ids_of_runs_that_were_before():
    """Whatever defaults there are: only what differs from them is looked at."""
    assert RunConfig(seed=3).identity({"houses": 10}) == "efdb06239a2ca41a"


def test_a_flag_is_the_fields_name():
    assert flag("num_agents_per_game") == "--num-agents-per-game"


def test_every_setting_has_a_sentence_for_help():
    for field in msgspec.structs.fields(RunConfig):
        assert "description" in repr(field.type), field.name


# ---- environments and their roles --------------------------------------------------------


def on_environment(**settings) -> RunConfig:
    return convert(RunConfig, {"env": "some"} | settings)


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"population_size": "12"}, {"population_size": 12}),
        (
            {"population_size": "adversary=4,agent=8"},
            {"population_size": {"adversary": 4, "agent": 8}, "num_agents": 12},
        ),
        ({"population_size": {"agent": 3}}, {"population_size": {"agent": 3}, "num_agents": 3}),
        (
            {"env_arg": ["n=3", "x=0.5", "on=True", "none=None", "name=a=b", "list=[1, 'a']"]},
            {"env_arg": {"n": 3, "x": 0.5, "on": True, "none": None, "name": "a=b"}
             | {"list": [1, "a"]}},
        ),
        ({"env_arg": ["size=(3, 4)", "odd={[]: 1}"]}, {"env_arg": {"size": [3, 4]}
         | {"odd": "{[]: 1}"}}),
        (
            {"roles": ["team=a_0+a_1,other=b_*", "last=c"]},
            {"roles": {"team": ["a_0", "a_1"], "other": ["b_*"], "last": ["c"]}},
        ),
        ({"reward_weights": "1,0.5"}, {"reward_weights": [1.0, 0.5]}),
        ({"env": {"name": "sisl/pursuit-v4"}}, {"env": "sisl/pursuit-v4", "env_arg": {}}),
        (
            {"env": {"name": "some", "args": {"n": 3, "deep": {"x": [1.5]}}}, "env_arg": ["n=4"]},
            {"env": "some", "env_arg": {"n": 4, "deep": {"x": [1.5]}}},
        ),
    ],
    ids=str,
)  # fmt: skip
def test_settings_of_several_parts_are_read_from_text_and_from_tables(settings, found):
    config = on_environment(**settings)
    assert {name: getattr(config, name) for name in found} == found


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"population_size": "agent"}, "--population-size 'agent': expected int"),
        ({"population_size": "agent=0"}, "--population-size 'agent=0': expected int >= 1"),
        ({"population_size": "agent=x"}, "--population-size 'agent=x': expected int"),
        ({"population_size": "a=1,a=2"}, "--population-size: a is given twice"),
        ({"population_size": "=1"}, "--population-size '=1' is not KEY=VALUE"),
        ({"population_size": {"agent": -1}}, "--population-size {'agent': -1}: expected int >= 1"),
        ({"population_size": '{"agent": '}, "--population-size '{\"agent\": ':"),
        ({"env_arg": ["n"]}, "--env-arg 'n' is not KEY=VALUE"),
        ({"env_arg": ["n=1", "n=2"]}, "--env-arg: n is given twice"),
        ({"env_arg": 5}, "--env-arg 5: expected object"),
        ({"env_arg": {"n": math.inf}}, "--env-arg n: inf is no number"),
        ({"env_arg": ["n=1e999"]}, "--env-arg n: inf is no number"),
        ({"env_arg": ["n=1j"]}, "--env-arg n: 1j is no number"),
        ({"env_arg": [f"n={2**64}"]}, f"--env-arg n: {2**64} is no number of 64 bits"),
        ({"env_arg": ["n={1, 2}"]}, "--env-arg n: {1, 2} is no number"),
        ({"env_arg": ["n={1: 2}"]}, "--env-arg n: {1: 2} is no number"),
        ({"env_arg": ["n=b'x'"]}, "--env-arg n: b'x' is no number"),
        ({"env_arg": {"n": "\ud800"}}, "--env-arg n: '\\ud800' is no number"),
        ({"env": {"args": {}}}, "[env] has 'args': it takes 'name'"),
        ({"env": {"name": "some", "argz": {}}}, "[env] has 'name', 'argz': it takes 'name'"),
        ({"env": {"name": "some", "args": 5}}, "[env] has 'name', 'args': it takes 'name'"),
        ({"env": {"name": "some"}, "env_arg": 5}, "--env-arg 5: expected object"),
        ({"roles": "team"}, "--roles 'team' is not KEY=VALUE"),
        ({"roles": {"team": 5}}, "--roles {'team': 5}: expected str | array"),
        ({"reward_weights": "1,x"}, "--reward-weights '1,x' must be numbers"),
        ({"reward_weights": [1.0, math.nan]}, "--reward-weights nan is not a finite number"),
    ],
    ids=str,
)  # fmt: skip
def test_parts_that_cannot_be_read_are_named(settings, says):
    with pytest.raises(ConfigError) as refused:
        on_environment(**settings)
    assert str(refused.value).startswith(says)
    assert "\n" not in str(refused.value)


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | NAMES
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(
    st.fixed_dictionaries(
        {
            "env_arg": st.dictionaries(NAMES, PLAIN, max_size=4),
            "roles": st.dictionaries(NAMES, NAMES | st.lists(NAMES, max_size=3), max_size=3),
            "population_size": st.integers(1, 9)
            | st.dictionaries(NAMES, st.integers(1, 9), min_size=1, max_size=3),
            "reward_weights": st.lists(
                st.floats(allow_nan=False, allow_infinity=False), max_size=3
            ),
            "self_play": st.none() | st.booleans(),
            "env_fresh": st.booleans(),
            "env_resize": st.none() | st.sampled_from(["84", "64x84"]),
            "env_grey": st.booleans(),
        }
    )
)
def test_a_setting_written_as_arguments_is_read_as_the_same(settings):
    config = on_environment(**settings)
    words = [
        word
        for name in settings
        if getattr(config, name) is not None
        for word in as_arguments(name, getattr(config, name))
    ]
    back = Settings.read("train", "", RuntimeOptions, ["--env=some", *words]).config(RuntimeOptions)
    for name in settings:
        assert getattr(back, name) == getattr(config, name)


@pytest.mark.parametrize(
    ("value", "size"), [("84", (84,)), (84, (84,)), ("64x84", (64, 84)), (None, ())]
)
def test_sizes_of_pictures(value, size):
    assert on_environment(env_resize=value).picture_size == size


@pytest.mark.parametrize("value", ["", "0", "x", "84x", "84x84x3", "-3", "84 x 84", "10000", True])
def test_what_is_no_size_of_pictures(value):
    with pytest.raises(ConfigError, match=r"--env-resize '.*' is not HEIGHTxWIDTH"):
        on_environment(env_resize=value)
