"""Addresses that people type, and those that nobody typed, with real processes."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from brigade.cli import main
from brigade.run import process
from brigade.run.process import pick_device

from .processes import ENDLESS, SMALL, brigade, descendants, free_base_port, run

ONE = [*SMALL, "--num-episodes", "1", "--device", "cpu"]
HOSTS = 'mount --bind "$0" /etc/hosts && exec "$@"'


def has_ipv6() -> bool:
    path = Path("/proc/net/if_inet6")
    return path.exists() and f"{1:032x}" in path.read_text()


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on loopback here")


@needs_ipv6
def test_ipv6_on_loopback_needs_no_keys_and_answers(tmp_path: Path) -> None:
    address = f"tcp://[::1]:{free_base_port()}"
    train = ["train", *ENDLESS, "--device", "cpu", "--bind", address, "--log-interval", "20"]
    with brigade(tmp_path, *train) as training:
        training.prints("episodes/s")
        assert main(["status", address, "--json"]) == 0
        training.popen.send_signal(signal.SIGTERM)
        assert training.end() == 128 + signal.SIGTERM


@pytest.mark.parametrize("host", ["0.0.0.0", pytest.param("[::]", marks=needs_ipv6)])
def test_a_training_that_is_open_to_all_reaches_itself(tmp_path: Path, host: str) -> None:
    address = f"tcp://{host}:{free_base_port()}"
    assert "final checkpoint: " in run(tmp_path, "train", *ONE, "--bind", address, "--insecure")


def test_a_training_with_keys_admits_its_own_learners_and_whom_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, temporary = tmp_path / "keys", Path(tempfile.mkdtemp(prefix="b-"))
    for words in (["new", "sim"], ["new", "box"], ["new", "thief"], ["admit", f"{folder}/box.pub"]):
        assert main(["keys", *words, "--folder", str(folder)]) == 0
    monkeypatch.setenv("TMPDIR", str(temporary))
    port = free_base_port()
    bind, reached = f"tcp://0.0.0.0:{port}", f"tcp://127.0.0.1:{port}"

    def status(name: str) -> int:
        credentials = ["--key", f"{folder}/{name}.key", "--server-key", f"{folder}/sim.pub"]
        return main(["status", reached, "--json", *credentials])

    train = [*("train", *ENDLESS, "--bind", bind, "--key", f"{folder}/sim.key")]
    train += ["--device", "cpu", "--num-learners", "2", "--log-interval", "20"]
    try:
        with brigade(tmp_path, *train) as training:
            training.prints("episodes/s")
            assert status("box") == 0
            assert status("thief") == 2
            assert main(["status", reached]) == 2
            secrets = [json.loads(path.read_text())["secret"] for path in temporary.glob("*/*.key")]
            assert len(secrets) == 1
            shown = [
                Path(f"/proc/{pid}/{name}").read_text()
                for pid in descendants(training.popen.pid)
                for name in ("cmdline", "environ")
            ]
            assert not [text for text in shown if secrets[0] in text]
            training.popen.send_signal(signal.SIGINT)
            assert training.end() == 128 + signal.SIGINT, training.output
        assert not list(temporary.iterdir()), "its keys are gone with it"
        assert [path.name for path in (folder / "admitted").iterdir()] == ["box.pub"]
    finally:
        shutil.rmtree(temporary)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--bind", "tcp://0.0.0.0:5750"], "can be reached from other machines, which needs --key"),
        (["--bind", "tcp://[::]:5750"], "can be reached from other machines, which needs --key"),
        (["--bind", "tcp://lo:5750", "--insecure"], "name an address of that interface"),
        (["--admitted", "friends"], "--admitted friends goes with --key"),
        (["--key", "no/such.key"], "no/such.key: No such file or directory"),
    ],
)
def test_a_training_is_refused_what_it_cannot_do(
    tmp_path: Path, words: list[str], says: str
) -> None:
    with brigade(tmp_path, "train", *SMALL, *words) as training:
        assert training.end() == 2
        [line] = training.output.splitlines()
        assert says in line
    assert not (tmp_path / "experiments").exists()


# ---- names -------------------------------------------------------------------------------


def may_mount(hosts: Path) -> bool:
    """Whether processes here can be given a file of host names of their own."""
    if not shutil.which("unshare"):
        return False
    words = ["unshare", "-m", "sh", "-c", HOSTS, str(hosts), "true"]
    return subprocess.run(words, stderr=subprocess.DEVNULL).returncode == 0


@needs_ipv6
def test_a_learner_waits_aloud_for_a_name_and_finds_it_when_it_comes_with_ipv6(
    tmp_path: Path,
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    if not may_mount(hosts):
        pytest.skip("processes cannot have a file of host names of their own here")
    prefix = ["unshare", "-m", "sh", "-c", HOSTS, str(hosts)]
    port = free_base_port()
    address = f"tcp://only-six.test:{port}"
    learn = ["learn", "--connect", address, "--device", "cpu", "--name", "box"]
    simulator = ["sim", *SMALL, "--bind", f"tcp://[::1]:{port}"]
    with brigade(tmp_path, *simulator) as sim, brigade(tmp_path, *learn, prefix=prefix) as learner:
        learner.prints("box: the name only-six.test cannot be resolved (")
        with brigade(tmp_path, "status", address, prefix=prefix) as status:
            assert status.end() == 2
            [line] = status.output.splitlines()
            assert line.startswith("brigade status: the name only-six.test cannot be resolved (")
        hosts.write_text("127.0.0.1 localhost\n::1 only-six.test\n")  # the same file, as mounted
        assert sim.end() == 0, sim.output + learner.output
        assert learner.end() == 0, learner.output


# ---- where nothing was typed -------------------------------------------------------------


@pytest.fixture
def long_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files whose path leaves no room for sockets, as on some clusters."""
    folder = tmp_path / "scratch-space-of-a-cluster" / ("job-" + "0123456789" * 5)
    folder.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return folder


def met_at(output: str) -> str:
    """The address that a training's simulator gave out."""
    found = re.search("learners attach with: .*brigade-learn --connect (.+)", output)
    assert found is not None, output
    return found[1]


def test_a_long_folder_for_temporary_files_is_no_obstacle(
    tmp_path: Path, long_folder: Path
) -> None:
    output = run(tmp_path, "train", *ONE)
    assert re.fullmatch(r"ipc:///(tmp|var/tmp)/brigade-\w{8}/control", met_at(output))
    assert not Path(met_at(output).removeprefix("ipc://")).parent.exists()
    assert not list(long_folder.iterdir())


def test_without_a_place_for_sockets_it_meets_on_loopback_closed_to_others(
    tmp_path: Path, long_folder: Path
) -> None:
    program = """
import sys
from brigade.run import scratch
scratch.SHORTER = ()
from brigade.cli import main
sys.exit(main(sys.argv[sys.argv.index("train"):]))
"""
    train = ["train", *ENDLESS, "--device", "cpu", "--log-interval", "20"]
    with brigade(tmp_path, *train, prefix=[sys.executable, "-c", program]) as training:
        training.prints("episodes/s")
        address = met_at(training.output)
        assert address.startswith("tcp://127.0.0.1:")
        assert main(["status", address]) == 2, "another user of this machine has no key"
        training.popen.send_signal(signal.SIGTERM)
        assert training.end() == 128 + signal.SIGTERM, training.output
    assert not list(long_folder.iterdir())


# ---- GPUs --------------------------------------------------------------------------------


class Gpus:
    """Stands for ``torch.cuda`` on a machine with so many GPUs."""

    def __init__(self, count: int) -> None:
        self.count = count

    def is_available(self) -> bool:
        return self.count > 0

    def device_count(self) -> int:
        return self.count


@pytest.mark.parametrize(
    ("name", "count", "devices"),
    [
        ("auto", 0, ["cpu"] * 5),
        ("auto", 1, ["cuda:0"] * 5),
        ("auto", 2, ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]),
        ("cuda", 3, ["cuda:0", "cuda:1", "cuda:2", "cuda:0", "cuda:1"]),
        ("cuda:1", 3, ["cuda:1"] * 5),
        ("cpu", 3, ["cpu"] * 5),
    ],
)
def test_gpus_are_dealt_round(
    monkeypatch: pytest.MonkeyPatch, name: str, count: int, devices: Sequence[str]
) -> None:
    import torch

    monkeypatch.setattr(torch, "cuda", Gpus(count))
    assert [pick_device(name, local_rank=rank) for rank in range(5)] == devices


def test_a_learners_gpu_is_the_one_that_torch_means(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    meant: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_device", meant.append)
    for device in ("cpu", "cuda:0", "cuda:1"):
        process.use_device(device)
    assert meant == ["cuda:0", "cuda:1"]


def test_a_launcher_numbers_its_learners(tmp_path: Path) -> None:
    train = ["train", *ENDLESS, "--device", "cpu", "--num-learners", "3", "--log-interval", "20"]
    with brigade(tmp_path, *train) as training:
        training.prints("episodes/s")
        ranks = set()
        for pid in descendants(training.popen.pid):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if "learn" in words:
                ranks.add(words[words.index("--local-rank") + 1])
        assert ranks == {"0", "1", "2"}
