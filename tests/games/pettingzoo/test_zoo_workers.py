"""Games in worker processes: as side by side, whatever becomes of the processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from brigade.games.pettingzoo.description import describe
from brigade.games.pettingzoo.errors import (
    CannotFind,
    EnvironmentRaised,
    InvalidData,
    WorkerLost,
)
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.game import Settings, episode_seed
from brigade.games.pettingzoo.oddities import Oddity
from brigade.games.pettingzoo.side_by_side import SideBySide
from brigade.games.pettingzoo.workers import EnvWorkers

SEED = 7
SOON = 30.0  # seconds that what comes at once may take on a busy machine
TOYS = """
import os
import signal
import sys
import time

import numpy as np

from scripted_lives import ParallelLives

LIVES = {"dies": "aat...", "cut": "aaaau.", "late": ".aaaat", "returns": "au.aau"}
REWARDS = {agent: [10.0 * i + t for t in range(6)] for i, agent in enumerate(LIVES)}


class Toy(ParallelLives):
    '''In the third step of the episode that has the seed, it does what it is told to.'''

    def __init__(self, seed=None, does=None, always=False):
        super().__init__(LIVES, REWARDS)
        self.bad, self.does, self.always = seed, does, always

    def step(self, actions):
        observations, *rest = super().step(actions)
        if self.t == 3 and (self.always or self.seeds[-1] == self.bad):
            if self.does == "raise":
                raise KeyError("no\\nsuch thing")
            if self.does == "nan":
                observations["late"][1] = np.nan
            if self.does == "exit":
                os._exit(3)
            if self.does == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.does == "hang":
                while True:
                    pass
            if self.does == "print":
                print("torch" in sys.modules, os.environ["SDL_VIDEODRIVER"], flush=True)
                print(os.environ["OMP_NUM_THREADS"], len(sys.argv), flush=True)
        return observations, *rest
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("toys") / "toys.py"
    path.write_text(TOYS)
    return f"{path}:Toy"


@pytest.fixture
def workers(toy):
    """Makes workers, and ends them."""
    made = []

    def make(num_games=4, num_workers=2, text=toy, **arguments):
        options = {key: arguments.pop(key) for key in OPTIONS & set(arguments)}
        maker = find(text, arguments)
        games = EnvWorkers(
            maker,
            describe(maker),
            num_games,
            Settings(seed=SEED),
            num_workers=num_workers,
            **options,
        )
        made.append(games)
        games.reset()
        return games

    yield make
    for games in made:
        games.close()


OPTIONS = {"timeout", "on_error", "most_restarts"}


def processes(games):
    return [worker._process.pid for worker in games._workers if worker._process is not None]


def wait_until(condition):
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def zeros(games):
    return [np.zeros((games.num_games, len(role.seats), 1), np.int32) for role in games.roles]


def drawn(games, generator):
    """Actions that are open to whoever acts."""
    actions = []
    for masks in games.masks:
        chances = generator.random(masks.shape) * masks
        actions.append(chances.argmax(-1)[..., None].astype(np.int32))
    return actions


def history(games, steps):
    """All that a trainer gets to know of some steps, as bytes."""
    generator = np.random.default_rng(1)
    seen = []
    for _ in range(steps):
        step = games.step(drawn(games, generator))
        arrays = [a for name, a in step._asdict().items() if not name.startswith("final_")]
        arrays += [*step.final_observations, *step.final_pictures, games.active]
        arrays += [*games.observations, *games.pictures, *games.masks]
        seen.append([(str(a.dtype), a.shape, a.tobytes()) for a in arrays])
    return seen, games.oddities.counts, games.oddities.first


@pytest.mark.parametrize(
    ("text", "steps"),
    [("mpe2.simple_spread_v3", 30), ("pettingzoo.classic.tictactoe_v3", 40), (None, 12)],
)
def test_games_are_the_same_with_any_number_of_workers(text, steps, toy, workers):
    maker = find(text or toy)
    here = SideBySide(maker, describe(maker), 5, Settings(seed=SEED))
    here.reset()
    expected = history(here, steps)
    for num_workers in (1, 3):
        there = workers(5, num_workers, text or toy)
        assert len(processes(there)) == num_workers
        assert history(there, steps) == expected


def test_there_are_not_more_workers_than_games_and_none_is_left(workers):
    before = set(Path("/dev/shm").iterdir())
    games = workers(2, 5)
    running = processes(games)
    assert len(running) == 2
    games.step(zeros(games))
    assert set(Path("/dev/shm").iterdir()) == before
    games.close()
    assert not any(Path(f"/proc/{pid}").exists() for pid in running)
    games.close()  # a second time does no harm


@pytest.mark.parametrize(("does", "kind"), [("raise", EnvironmentRaised), ("nan", InvalidData)])
def test_what_fails_in_a_worker_is_told_as_if_it_had_failed_here(does, kind, toy, workers):
    arguments = {"seed": episode_seed(SEED, 3, 0), "does": does}
    maker = find(toy, arguments)
    here = SideBySide(maker, describe(maker), 4, Settings(seed=SEED))
    here.reset()
    there = workers(**arguments)
    running = processes(there)
    faults = []
    for games in (here, there):
        games.step(zeros(games))
        games.step(zeros(games))
        with pytest.raises(kind) as caught:
            games.step(zeros(games))
        faults.append(caught.value)
    ours, theirs = faults
    assert str(theirs) == str(ours)
    assert (theirs.game, theirs.agent, theirs.step) == (ours.game, ours.agent, ours.step)
    assert theirs.game == 3
    assert theirs.details.rstrip().endswith(str(theirs))
    if does == "raise":
        for fault in faults:
            assert "toys.py" in fault.details
            assert 'raise KeyError("no' in fault.details
    assert not any(Path(f"/proc/{pid}").exists() for pid in running)
    with pytest.raises(WorkerLost, match="it was ended before"):
        there.step(zeros(there))


@pytest.mark.parametrize(
    ("does", "words"),
    [
        ("exit", "its process ended with exit code 3"),
        ("kill", "its process was killed by SIGKILL"),
        ("hang", r"no answer within 0\.7 s"),
    ],
)
def test_a_worker_that_is_lost_is_named_and_all_are_ended(does, words, toy, workers):
    more = {"timeout": 0.7} if does == "hang" else {}
    games = workers(seed=episode_seed(SEED, 3, 0), does=does, **more)
    running = processes(games)
    games.step(zeros(games))
    games.step(zeros(games))
    began = time.monotonic()
    with pytest.raises(WorkerLost, match=words) as caught:
        games.step(zeros(games))
    assert str(caught.value).startswith(f"{toy}, worker 1 with games 2 to 3: ")
    assert (caught.value.worker, caught.value.games) == (1, range(2, 4))
    assert not any(Path(f"/proc/{pid}").exists() for pid in running)
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize(
    ("does", "oddity"),
    [("nan", Oddity.INVALID), ("kill", Oddity.LOST)],
)
def test_games_of_a_failed_worker_are_cut_and_begun_anew(does, oddity, toy, workers):
    """Those of the other go on as they would have."""
    arguments = {"seed": episode_seed(SEED, 3, 1), "does": does, "on_error": "restart"}
    games = workers(**arguments)
    maker = find(toy)
    other = SideBySide(maker, describe(maker), 4, Settings(seed=SEED))
    other.reset()
    for _ in range(7):  # five to the first end, and two
        expected, got = other.step(zeros(other)), games.step(zeros(games))
        assert got.rewards.tobytes() == expected.rewards.tobytes()
    saw = [array.copy() for array in games.observations]
    alive = [0, 1, 1, 0]  # after two steps
    got, expected = games.step(zeros(games)), other.step(zeros(other))
    lanes = slice(0, 8)
    assert got.rewards[lanes].tobytes() == expected.rewards[lanes].tobytes()
    assert not got.truncated[lanes].any()
    lanes = slice(8, 16)
    assert got.truncated[lanes].tolist() == [*alive, *alive]
    assert not got.terminated.any()
    assert not got.rewards[lanes].any()
    assert got.ended.tolist() == [2, 3]
    assert got.lengths.tolist() == [2, 2]
    assert got.cut.all()
    assert got.returns.tolist() == [[3, 23, 43, 31]] * 2
    for final, seen in zip(games.final_observations, saw, strict=True):
        assert (final[2:] == seen[2:]).all()
    # They begin where any episode does, with the next number's seed.
    assert games.active.reshape(4, 4)[2:].tolist() == [[1, 1, 0, 1]] * 2
    assert games.oddities.counts == {oddity: 1}
    assert games.oddities.first[oddity] == str(games.faults[0])
    for _ in range(5):
        got = games.step(zeros(games))
    assert got.ended.tolist() == [2, 3]
    assert games._arrays.episodes.tolist() == [2, 2, 3, 3]


def test_restarts_have_a_limit(workers):
    games = workers(2, 1, does="exit", always=True, on_error="restart", most_restarts=1)
    for _ in range(5):
        games.step(zeros(games))
    with pytest.raises(WorkerLost, match="exit code 3"):
        games.step(zeros(games))
    assert len(games.faults) == 1
    assert not processes(games)


def test_what_an_environment_prints_goes_to_the_errors(workers, capfd):
    games = workers(2, 1, does="print", always=True)
    for _ in range(3):
        games.step(zeros(games))
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "False dummy\n1 1\n" * 2


def test_workers_need_what_can_be_found_by_a_text(toy):
    maker = find(lambda: find(toy)())
    with pytest.raises(CannotFind, match="--env-workers 0"):
        EnvWorkers(maker, describe(maker), 2, num_workers=1)
    maker = find(toy, {"seed": np.zeros(2), "does": None})
    with pytest.raises(CannotFind, match="numbers, texts, lists and tables"):
        EnvWorkers(maker, describe(maker), 2, num_workers=1)


def test_games_that_cannot_be_made_elsewhere(tmp_path):
    path = tmp_path / "once.py"
    path.write_text(
        "import pathlib\n"
        "from scripted_lives import ParallelLives\n"
        "def parallel_env():\n"
        "    made = pathlib.Path(__file__).with_suffix('.made')\n"
        "    if made.exists():\n"
        "        raise OSError('there is one already')\n"
        "    made.touch()\n"
        "    return ParallelLives({'a': 'at'}, {'a': [0.0] * 2})\n"
    )
    maker = find(str(path))
    with pytest.raises(CannotFind, match="could not be made: OSError: there is one already"):
        EnvWorkers(maker, describe(maker), 2, num_workers=2)


def test_games_that_cannot_be_made_again_are_a_worker_that_is_lost(tmp_path, workers):
    path = tmp_path / "once.py"
    path.write_text(
        "import pathlib\n"
        "from scripted_lives import ParallelLives\n"
        "class Once(ParallelLives):\n"
        "    broken = pathlib.Path(__file__).with_suffix('.broken')\n"
        "    def __init__(self):\n"
        "        if self.broken.exists():\n"
        "            raise OSError('it is broken')\n"
        "        super().__init__({'a': 'aat'}, {'a': [0.0] * 3})\n"
        "    def step(self, actions):\n"
        "        self.broken.touch()\n"
        "        raise ValueError\n"
    )
    games = workers(2, 1, text=f"{path}:Once", on_error="restart")
    with pytest.raises(WorkerLost, match=r"cannot be begun anew: .* it is broken"):
        games.step(zeros(games))
    assert not processes(games)


PARENT = """
import sys, threading
import numpy as np
sys.path[:0] = sys.argv[3].split(":")
from brigade.games.pettingzoo.description import describe
from brigade.games.pettingzoo.finding import find
from brigade.games.pettingzoo.workers import EnvWorkers

def play():
    maker = find(sys.argv[1], {"does": "hang", "always": True})
    games = EnvWorkers(maker, describe(maker), 2, num_workers=2)
    games.reset()
    actions = [np.zeros((2, 1, 1), np.int32)] * 4
    games.step(actions), games.step(actions)
    print(*[worker._process.pid for worker in games._workers], flush=True)
    if sys.argv[2] == "idle":
        sys.stdin.read()
    games.step(actions)

if sys.argv[2] == "thread":
    thread = threading.Thread(target=play)
    thread.start(), thread.join()
else:
    play()
"""


@pytest.mark.parametrize("state", ["idle", "busy", "thread"])
def test_no_worker_outlives_a_parent_that_is_killed(state, toy):
    """One started from a thread has no signal from Linux, and watches the connection."""
    here = str(Path(__file__).parent)
    words = [sys.executable, "-c", PARENT, toy, state, here]
    parent = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with parent:
        pids = parent.stdout.readline().split()
        assert len(pids) == 2
        if state != "idle":
            before = {pid: cpu_time(pid) for pid in pids}
            wait_until(lambda: all(cpu_time(pid) > before[pid] + 2 for pid in pids))
        parent.kill()
    wait_until(lambda: not any(running(pid) for pid in pids))


def cpu_time(pid):
    """In ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11])


def running(pid):
    """Whether a process does more than wait to be forgotten."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_ctrl_c_reaches_the_parent_only(workers):
    """It goes to all processes of a group."""
    (pid,) = processes(workers(2, 1))
    assert os.getpgid(pid) != os.getpgid(0)
