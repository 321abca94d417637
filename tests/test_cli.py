"""The command line: whatever a person gets wrong is one clear line, and nothing has happened."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from brigade import __version__, cli
from brigade.config import RunConfig
from brigade.env.scenarios import load_scenario
from brigade.flags import Settings
from brigade.games.bucket_brigade import describe
from brigade.ppo.agents import initial_state
from brigade.run.learn import LearnConfig
from brigade.run.train import TrainConfig
from brigade.sim.preparation import population_of
from brigade.sim.statistics import Statistics
from brigade.store.checkpoint import Checkpoint, save

COMMANDS = ("train", "sim", "learn", "evaluate")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in an empty folder, and take back what a command does to its process."""
    monkeypatch.chdir(tmp_path)
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    loggers = list(logging.getLogger().handlers)
    threads = torch.get_num_threads()
    yield
    for each, handler in handlers.items():
        signal.signal(each, handler)
    logging.getLogger().handlers[:] = loggers
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command in this process; its line on stderr."""
    before = files(Path.cwd())
    try:
        code = cli.main(words)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert err.endswith("\n")
    [line] = err.splitlines()
    assert line.startswith("brigade")
    assert len(line) < 600
    assert files(Path.cwd()) == before, "nothing was written"
    return line


def write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


RUN_MISTAKES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "a flag misspelt": (("--populaton-size", "3"), ("--populaton-size", "--population-size")),
    "an unknown flag": (("--frobnicate",), ("--frobnicate",)),
    "a flag cut short": (("--popul", "9"), ("--popul",)),
    "a flag without a value": (("--gamma",), ("--gamma", "expected one argument")),
    "no flag": (("default",), ("default",)),
    "an empty word": (("",), ("''",)),
    "not a number": (("--population-size", "eight"), ("--population-size", "eight")),
    "a fraction": (("--num-games", "1.5"), ("--num-games", "1.5")),
    "out of range": (("--gamma", "1.5"), ("--gamma", "1.5", "1.0")),
    "not finite": (("--learning-rate", "inf"), ("--learning-rate", "inf")),
    "no choice": (("--sync", "never"), ("--sync", "never", "lockstep")),
    "no matchmaking": (("--matchmaking", "x"), ("--matchmaking", "round_robin")),
    "a small population": (
        ("--population-size", "3"),
        ("Population size must be >= num_agents_per_game", "3", "4"),
    ),
    "an unknown scenario": (("--scenario", "chain_reacton"), ("chain_reacton", "chain_reaction")),
    "a missing scenario file": (("--scenario", "no/such.toml"), ("no/such.toml",)),
    "seats that do not exist": (("--num-agents-per-game", "0"), ("--num-agents-per-game", "0")),
    "a negative seed": (("--seed", "-1"), ("--seed", "-1")),
    "a run name that is a path": (("--run-name", "../x"), ("--run-name", "../x")),
    "an address": (("--bind", "localhost:5750"), ("localhost:5750", "tcp://HOST:5750")),
    "a port": (("--bind", "tcp://127.0.0.1:99999"), ("99999", "port")),
    "no threads": (("--threads", "0"), ("--threads", "0")),
    "negative threads": (("--threads", "-1"), ("--threads", "-1")),
    "a run that is not there": (("--resume", "gone"), ("--resume", "gone")),
    "no checkpoints": (("--keep", "0"), ("--keep", "0")),
    "a short lease": (("--lease", "1"), ("--lease", "1")),
    "nobody to start with": (("--start-with", "0"), ("--start-with", "0")),
    "more to start with than there are": (
        ("--start-with", "9"),
        ("--start-with 9", "the population has 8 agents"),
    ),
    "a long run name": (("--run-name", "ä" * 128), ("--run-name", "256 bytes", "at most 255")),
    "a run name of two lines": (("--run-name", "a\nb"), ("--run-name 'a\\nb'",)),
    "a run name that turns round": (("--run-name", "a\u202eb"), ("--run-name 'a\\u202eb'",)),
    "a run name of another encoding": (("--run-name", "\udce9"), ("--run-name '\\udce9'",)),
    "a run name of any length": (("--run-name", "x" * 100_000), ("--run-name 'xxx", "255")),
    "a folder of any length": (("--resume", "x" * 5000), ("xxx", "File name too long")),
    "a scenario of two lines": (("--scenario", "a\nb"), ("--scenario a\\nb: ",)),
    "a scenario of another encoding": (("--scenario", "\udce9.toml"), ("must be UTF-8",)),
    "a log that cannot be": (("--log-file", "no\x1b/log"), ("--log-file no\\x1b/log: No such",)),
    "a home of nobody": (("--key", "~nobody-of-this-name/x"), ("there is no such home",)),
    "a missing config": (("--config", "missing.toml"), ("--config", "missing.toml")),
}


@pytest.mark.parametrize("mistake", RUN_MISTAKES.values(), ids=RUN_MISTAKES.keys())
@pytest.mark.parametrize("command", ["train", "sim"])
def test_a_wrong_setting_of_a_run_is_one_line(capsys, command, mistake):
    words, says = mistake
    line = refused(capsys, command, *words)
    assert line.startswith(f"brigade {command}: ")
    for part in says:
        assert part in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--num-learners", "0"), ("--num-learners", "0")),
        (("--max-restarts", "-1"), ("--max-restarts", "-1")),
        (("--num-learners", "9"), ("--num-learners 9", "--population-size 8")),
        (("--device", "tpu"), ("--device", "tpu", "cuda:N")),
        (("--device", "cuda:x"), ("--device", "cuda:x")),
        (("--device", "cuda:"), ("--device", "cuda:")),
        (("--device", "cuda:99"), ("--device cuda:99", "GPU")),
        (("--device", ""), ("--device",)),
    ],
)
def test_a_wrong_setting_of_the_learners_is_one_line(capsys, words, says):
    line = refused(capsys, "train", *words)
    for part in says:
        assert part in line


@pytest.mark.parametrize("command", ["train", "sim"])
def test_a_run_that_exists_is_not_written_over(capsys, command, tmp_path):
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    (folder / "final_checkpoint.pt").write_bytes(b"precious")
    words = ["--run-name", "mine", "--checkpoint-dir", "runs"]
    if command == "sim":
        words += ["--bind", f"ipc://{tmp_path}/s"[:80]]
    assert "choose another --run-name" in refused(capsys, command, *words)
    assert (folder / "final_checkpoint.pt").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("settings", "words", "says"),
    [
        ("{}", ("--gamma", "0.5"), ("--gamma 0.5", "0.99")),
        ("{", (), ("config.json",)),
        ('{"gamma": 2.0}', (), ("config.json", "--gamma 2.0")),
        ('{"scenario": "hrd"}', (), ("hrd", "hard")),
    ],
)
@pytest.mark.parametrize("command", ["train", "sim"])
def test_a_run_that_cannot_go_on_so_is_one_line(capsys, command, settings, words, says):
    Path("mine").mkdir()
    Path("mine/config.json").write_text(settings)
    line = refused(capsys, command, "--resume", "mine", *words)
    for part in says:
        assert part in line


def test_a_port_in_use_is_one_line(capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        assert f"{address} is in use" in refused(capsys, "sim", "--bind", address)


@pytest.mark.parametrize("command", ["train", "sim"])
def test_an_address_open_to_other_machines_is_one_line(capsys, command):
    for address in ("tcp://0.0.0.0:5750", "tcp://[::]:5750"):
        line = refused(capsys, command, "--bind", address)
        assert f"--bind {address} can be reached from other machines, which needs --key" in line


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("x.toml", "gamma = ", "--config x.toml: line 1: invalid value"),
        ("x.toml", "seed = 1\n\ngamma 0.9\n", "--config x.toml: line 3: expected '='"),
        ("x.toml", "gamma = 2.0", "x.toml: gamma 2.0: expected float <= 1.0"),
        ("x.toml", "gama = 0.5", "x.toml: 'gama' is not a setting"),
        ("x.toml", '"learning [rate" = 1', "x.toml: 'learning [rate' is not a setting"),
        ("x.toml", "scenario = 'defualt'", "x.toml: scenario defualt: unknown scenario"),
        ("x.toml", "given = ['gamma']", "x.toml: 'given' is not a setting"),
        ("x.toml", "[gamma]\nx = 1", "x.toml: gamma {'x': 1}: expected float"),
        ("x.toml", 'population_size = "many"', "x.toml: population_size 'many': expected int"),
        ("x.toml", 'population-size = "many"', "x.toml: population_size 'many': expected int"),
        ("x.toml", "learning_rate = inf", "x.toml: learning_rate inf is not a finite number"),
        ("x.toml", "run-name = 'a/b'", "x.toml: run_name 'a/b' must consist of"),
        ("x.toml", "seed = 1\nseed = 2", "--config x.toml: line 2: cannot overwrite a value"),
        ("x.toml", "num-games = 9\nnum_games = 9", "--config x.toml: 'num_games' is there twice"),
        (
            "x.toml",
            "hiden_size = 3",
            "'hiden_size' is not a setting; did you mean 'hidden_size'?",
        ),
        ("x.toml", "random_starts = 2.0", "x.toml: random_starts 2.0: expected float < 1.0"),
        (
            "x.toml",
            "random_starts = 0.2\nexploring_starts = 0.2",
            "'random_starts' is the earlier name of 'exploring_starts': give one of them",
        ),
        ("x.toml", 'checkpoint_dir = "a\\u0000b"', "x.toml: checkpoint_dir 'a\\x00b': no text"),
        ("x.json", "{", "--config x.json: line 1: expecting property name"),
        ("x.json", '{\n"seed": 1,\n}', "--config x.json: line 3: "),
        ("x.json", "[1]", "--config x.json: a table of settings is wanted, not list"),
        ("x.json", '{"seed": -1}', "x.json: seed -1: expected int >= 0"),
        ("x.json", '{"seed": 1, "seed": 2}', "--config x.json: 'seed' is there twice"),
        (
            "x.json",
            '{"population_size": 2}',
            "x.json: Population size must be >= num_agents_per_game: population_size 2 is below "
            "--num-agents-per-game 4",
        ),
        ("x.json", "[" * 100_000, "--config x.json: is nested too deeply"),
        ("x.json", f'{{"seed": {"9" * 5000}}}', "--config x.json: exceeds the limit"),
    ],
)
def test_a_wrong_config_file_is_one_line(capsys, name, text, says):
    assert says in refused(capsys, "train", "--config", write(name, text))


def test_a_fault_of_the_command_line_is_not_the_files(capsys):
    path = write("x.toml", "gamma = 2.0\nseed = 1")
    line = refused(capsys, "train", "--config", path, "--gamma", "3.0")
    assert line == "brigade train: --gamma '3.0': expected float <= 1.0"


def test_a_config_file_may_have_a_mark_at_its_start_and_dashes():
    Path("x.toml").write_bytes(b"\xef\xbb\xbfpopulation-size = 12\r\nrun-name = 'Zo\xc3\xab'\r\n")
    config = Settings.read("train", "", TrainConfig, ["--config", "x.toml"]).config(TrainConfig)
    assert (config.population_size, config.run_name) == (12, "Zoë")
    Path("x.json").write_bytes(b'\xef\xbb\xbf{"num-learners": 2, "learning_rate": 0.1}')
    config = Settings.read("train", "", TrainConfig, ["--config", "x.json"]).config(TrainConfig)
    assert (config.num_learners, config.learning_rate) == (2, 0.1)


def test_a_config_that_is_not_text_is_one_line(capsys):
    Path("x.toml").write_bytes(b"\xff\xfe\x00")
    assert "x.toml: line 1: not UTF-8" in refused(capsys, "sim", "--config", "x.toml")
    Path("x.toml").write_bytes(b"seed = 1\nrun_name = 'caf\xe9'\n")
    assert "x.toml: line 2: not UTF-8" in refused(capsys, "sim", "--config", "x.toml")
    assert "--config" in refused(capsys, "sim", "--config", ".")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--conect", "x"), ("--conect", "--connect")),
        (("--connect", "10.0.0.5"), ("10.0.0.5", "tcp://HOST:5750")),
        (("--connect", "tcp://127.0.0.1:0"), ("port",)),
        (("--agents", "x"), ("--agents", "x")),
        (("--agents", ""), ("--agents",)),
        (("--agents", "3-1"), ("--agents", "3-1")),
        (("--agents", "any:0"), ("--agents", "any:0")),
        (("--agents", "any:-1"), ("--agents", "any:-1")),
        (("--device", "tpu"), ("--device", "tpu")),
        (("--device", "cuda:99"), ("cuda:99",)),
        (("--name", ""), ("--name",)),
        (("--name", "two\nlines"), ("--name 'two\\nlines': expected text without control",)),
        (("--name", "caf\udce9"), ("--name 'caf\\udce9': expected text without control",)),
        (("--name", "x" * 256), ("--name", "length <= 255")),
        (("--agents", "0," * 40_000), ("--agents", "length <= 65536")),
        (("--threads", "0"), ("--threads", "0")),
        (("--threads", "-1"), ("--threads", "-1")),
        (("--max-updates", "0"), ("--max-updates", "0")),
        (("hello",), ("hello",)),
    ],
)
@pytest.mark.timeout(120)
def test_a_wrong_setting_of_a_learner_is_one_line(capsys, words, says):
    line = refused(capsys, "learn", *words)
    for part in says:
        assert part in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), ("what",)),
        (("missing.pt",), ("missing.pt", "no such file")),
        ((".",), ("folder",)),
        (("text.pt",), ("text.pt", "not a readable checkpoint")),
        (("archetype:nobody",), ("nobody", "firefighter")),
        (("archetype:",), ("archetype",)),
        (("archetype:hero,hero,hero",), ("3", "4")),
        (("random", "--scenario", "hrd"), ("hrd", "hard")),
        (("random", "--episodes", "0"), ("--episodes", "0")),
        (("random", "--num-agents-per-game", "0"), ("--num-agents-per-game", "0")),
        (("random", "--num-agents-per-game", "-1"), ("--num-agents-per-game", "-1")),
        (("random", "--max-nights", "0"), ("--max-nights", "0")),
        (("random", "--threads", "0"), ("--threads", "0")),
        (("random", "--seed", "-1"), ("--seed", "-1")),
        (("random", "--gredy"), ("--gredy", "--greedy")),
        (("random", "spread"), ("spread",)),
    ],
)
def test_a_wrong_evaluation_is_one_line(capsys, words, says):
    write("text.pt", "this is no checkpoint\n")
    line = refused(capsys, "evaluate", *words)
    for part in says:
        assert part in line


def trained(path: Path) -> None:
    """Write the checkpoint of an untrained population of 3 on ``easy``."""
    config = RunConfig(
        scenario="easy", population_size=3, num_agents_per_game=2, hidden_size=4, seed=0
    )
    game = describe(load_scenario("easy"), 2)
    population = population_of(config, game)
    states = [initial_state(population.network, 0, agent) for agent in range(3)]
    statistics = Statistics(3).to_dict()
    save(path, Checkpoint("id", config, game, population, states, statistics, {}))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--scenario", "v2_minimal"), ("10 houses", "v2_minimal")),
        (("--scenario", "hrd"), ("hrd", "hard")),
        (("--num-agents-per-game", "3"), ("2 seats", "3")),
        (("--num-agents-per-game", "9"), ("2 seats", "9")),
    ],
)
def test_a_checkpoint_of_another_game_is_one_line(capsys, words, says):
    trained(Path("x.pt"))
    line = refused(capsys, "evaluate", "x.pt", *words)
    for part in says:
        assert part in line


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("trian",), ("'trian' is not a command", "train")),
        (("fly",), ("'fly' is not a command", "train, sim, learn")),
        (("",), ("''",)),
        (("--verbose",), ("--verbose",)),
    ],
)
def test_a_wrong_command_is_one_line(capsys, words, says):
    line = refused(capsys, *words)
    for part in says:
        assert part in line


# ---- what is right -----------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_the_overview_names_every_command(capsys, words):
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert all(f"  {command} " in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_each_flag_is_for(capsys, command):
    assert cli.main([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "--threads" in out
    if command == "train":
        for flag in ("--scenario", "--population-size", "--sync", "--num-learners", "--config"):
            assert flag in out
        assert "[0.99]" in out, "defaults are told"


def test_the_version_is_told(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"brigade {__version__}\n"


def test_flags_win_over_the_config_file(tmp_path):
    path = write("x.toml", "gamma = 0.5\npopulation_size = 12\nanneal = true\nseed = 1\n")
    words = ["--config", path, "--gamma", "0.25", "--no-anneal"]
    config = Settings.read("train", "", TrainConfig, words).config(TrainConfig)
    assert (config.gamma, config.population_size, config.anneal) == (0.25, 12, False)
    assert config.seed == 1
    again = write("x.json", '{"gamma": 0.75, "num_learners": 2}')
    config = Settings.read("train", "", TrainConfig, ["--config", again]).config(TrainConfig)
    assert (config.gamma, config.num_learners) == (0.75, 2)


@pytest.mark.parametrize("words", [["--seed=5", "--anneal"], ["--seed", "5", "--anneal"]])
def test_flags_are_read_either_way(words):
    config = Settings.read("train", "", TrainConfig, words).config(TrainConfig)
    assert (config.seed, config.anneal) == (5, True)


def test_a_learners_flags_are_read():
    words = ["--connect", "tcp://h:1", "--agents", "0-3", "--device", "cpu", "--threads", "3"]
    config = Settings.read("learn", "", LearnConfig, words).config(LearnConfig)
    assert config == LearnConfig(connect="tcp://h:1", agents="0-3", device="cpu", threads=3)


# ---- the real thing ----------------------------------------------------------------------


def process(main: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *main.split(), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )


@pytest.mark.parametrize(
    ("main", "words", "says"),
    [
        ("-m brigade", ("train", "--scenario", "nowhere"), "nowhere"),
        ("-m brigade", ("learn", "--agents", "x"), "--agents 'x'"),
    ],
)
def test_a_process_says_its_line_and_exits_with_2(tmp_path, main, words, says):
    done = process(main, *words)
    assert done.returncode == 2
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert says in line
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("entry", "name", "word"),
    [(cli.main_sim, "sim", "--scenari"), (cli.main_learn, "learn", "--agent")],
)
def test_commands_of_their_own_are_the_same(
    capsys, monkeypatch, entry: Callable[[], int], name, word
):
    monkeypatch.setattr(sys, "argv", [f"brigade-{name}", word, "x"])
    assert entry() == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"brigade-{name}: unknown flag {word}; did you mean {word}")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 9. TiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nand more"),
    ],
)
def test_too_little_memory_is_one_line(capsys, monkeypatch, error):
    def fail(config):
        raise error

    monkeypatch.setattr("brigade.run.evaluate.run_evaluate", fail)
    assert cli.main(["evaluate", "random"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("brigade evaluate: out of memory: try fewer")
    assert "llocate" in line


def test_other_errors_are_not_hidden(monkeypatch):
    def fail(config):
        raise RuntimeError("a bug")

    monkeypatch.setattr("brigade.run.evaluate.run_evaluate", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main(["evaluate", "random"])


def in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.parametrize("words", [["evaluate", "random"], ["train"], ["learn"]], ids=str)
def test_ctrl_c_while_modules_load_is_no_traceback(words):
    done = in_a_process(
        "import importlib, os, signal, sys\n"
        "from brigade.cli import main\n"
        "importlib.import_module = lambda name: os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.exit(main({words!r}))"
    )
    assert (done.returncode, done.stderr) == (130, "")


def test_a_file_that_is_somebody_elses_is_one_line(capsys, monkeypatch):
    def refuse(config: object) -> int:
        raise PermissionError(13, "Permission denied", "theirs/run")

    monkeypatch.setattr("brigade.run.evaluate.run_evaluate", refuse)
    assert cli.main(["evaluate", "random"]) == 2
    assert capsys.readouterr().err == "brigade evaluate: theirs/run: Permission denied\n"


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_output_that_cannot_be_written_is_no_traceback(flag):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "brigade", flag],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode != 0
    assert "cannot write the output" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_command_that_python_calls_ends_no_process_whatever_runs_in_it(capsys):
    importlib.import_module("brigade.games.pettingzoo.finding")
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert cli.main(["scenarios"]) == 0  # and this goes on
    finally:
        done.set()
        other.join()


@pytest.mark.parametrize("module", ["signal", "brigade.cli", "brigade.streams"])
def test_ctrl_c_while_the_command_itself_loads_is_no_traceback(module):
    done = in_a_process(
        "import os, sys\n"
        "class Interrupt:\n"
        "    def find_spec(name, path, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), 2)\n"
        "sys.meta_path.insert(0, Interrupt)\n"
        "sys.modules.pop('signal', None)\n"
        "from brigade.__main__ import main\n"
        "print('went on')"
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train", "--lr", "1"), "unknown flag --lr"),
        (("train", "--vec"), "unknown flag --vec"),
        (("train", "--games", "9"), "did you mean --num-games?"),
        (("train", "--advantages", "counterfactual"), "; did you mean difference_rewards?"),
        (("play", "--max-nights", "9"), "did you mean --max-cycles?"),
        (("evaluate", "random", "--max-cycles", "9"), "did you mean --max-nights?"),
        (("train", "--resume", "missing.pt"), "--resume missing.pt: no such file or folder"),
    ],
)
def test_hints_are_at_what_is_really_close(capsys, words, says):
    line = refused(capsys, *words)
    assert says in line
    assert "did you mean" in says or "did you mean" not in line


def test_a_flag_that_is_only_the_way_out_is_not_blamed_on_the_file(capsys):
    write("x.toml", "insecure = false\n")
    line = refused(capsys, "sim", "--config", "x.toml", "--bind", "tcp://0.0.0.0:5750")
    assert line.startswith("brigade sim: --bind tcp://0.0.0.0:5750 can be reached")


def test_a_game_that_was_interrupted_can_be_seen_again(monkeypatch, capsys):
    def interrupted(scenario, agents, seed, *settings):
        print(f"the game of seed {seed}")
        raise KeyboardInterrupt

    monkeypatch.setattr("brigade.play.play", interrupted)
    assert cli.main(["play", "hero,spread"]) == 130
    first, *_, last = capsys.readouterr().out.splitlines()
    assert last == f"the game again: --seed {first.rpartition(' ')[2]}"
    assert cli.main(["play", "hero,spread", "--seed", "4"]) == 130
    assert capsys.readouterr().out == "the game of seed 4\n"
