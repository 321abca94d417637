"""The training loop of the guide learns."""

import sys
from pathlib import Path

import pytest

import brigade

pytest.importorskip("torch", reason="torch is not installed")
DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.fixture
def ippo(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    import ippo

    monkeypatch.setattr(ippo, "BATCH", 512)
    yield ippo
    del sys.modules["ippo"]


def test_its_rewards_rise(ippo):
    # Two houses that burn often: what is to be learned is seen every night.
    busy = brigade.load_scenario("default", num_houses=2, prob_house_catches_fire=0.5)
    _, rewards = ippo.train(busy, seed=1, updates=15, games=8, lr=3e-3)
    assert sum(rewards[:3]) / 3 < -75  # random play
    assert sum(rewards[-3:]) / 3 > -60


def test_it_is_short():
    assert len((DOCS / "ippo.py").read_text().splitlines()) < 80
