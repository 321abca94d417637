"""What holds a run up is named."""

from dataclasses import dataclass

from brigade.sim.diagnosis import diagnose
from brigade.wire.messages import LearnerReport


@dataclass
class Case:
    silent: float = 0.5

    @property
    def learner(self) -> LearnerReport:
        return LearnerReport(
            name="gpu-box", device="cuda:0", agents=[0, 1], versions=[3, 3], outstanding=[1, 1],
            silent_seconds=self.silent, learn_seconds=2.5, wait_seconds=0.1,
        )  # fmt: skip


def test_nothing_is_said_while_all_is_well():
    assert diagnose([Case().learner], [], [], 15) == []


def test_agents_without_a_learner_are_named():
    assert diagnose([], [2, 3], [], 15) == ["agents 2-3 have no learner"]
    assert diagnose([], [2], [2], 15) == ["agent 2 has no learner and the run waits for one"]


def test_a_learner_that_the_run_waits_for_is_named():
    assert diagnose([Case().learner], [], [1], 15) == [
        "the run waits for gpu-box (agents 0-1 on cuda:0), whose last update took 2.5 s"
    ]


def test_a_silent_learner_is_named():
    [remark] = diagnose([Case(silent=8).learner], [], [0], 15)
    assert "gpu-box" in remark
    assert "silent for 8 s; it counts as lost after 15 s" in remark
