"""What the distribution says of itself agrees with the code and with the changelog."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CRATE = tomllib.loads((ROOT / "brigade-rs" / "Cargo.toml").read_text())["package"]


def test_the_newest_version_of_the_changelog_is_the_one_that_is_built():
    versions = re.findall(r"^## \[([\d.]+)\] - \d{4}-\d\d-\d\d$", changelog(), re.MULTILINE)
    assert versions[0] == CRATE["version"]
    numbers = [tuple(map(int, version.split("."))) for version in versions]
    assert numbers == sorted(set(numbers), reverse=True)


def changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text()


def test_what_is_not_released_comes_first():
    headings = re.findall(r"^## (.*)$", changelog(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"


def test_the_licence_is_said_once_and_alike():
    assert PROJECT["license"] == CRATE["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    # An expression and a classifier of it may not stand beside each other.
    assert not [line for line in PROJECT["classifiers"] if line.startswith("License ::")]


def test_it_installs_on_every_python_that_it_names():
    named = [line.rpartition(" :: ")[2] for line in PROJECT["classifiers"] if ":: 3." in line]
    assert named == ["3.11", "3.12", "3.13"]
    assert PROJECT["requires-python"] == f">={named[0]}"
    assert "abi3-py311" in (ROOT / "brigade-rs" / "Cargo.toml").read_text()
