"""Scenarios by name, by file and with changes."""

import json
from pathlib import Path

import pytest

import brigade

FILE_TOML = """
name = "mine"
description = "A test."
base = "hard"
num_houses = 6
reward_own_house_survives = [1.0, 2.0, 3.0]
"""


def test_a_name_gives_the_named_scenario():
    assert len(brigade.scenario_names()) == 18
    for name in brigade.scenario_names():
        scenario = brigade.load_scenario(name)
        assert scenario.name == name
        assert scenario.description


def test_a_scenario_is_given_back_as_it_is():
    scenario = brigade.Scenario(num_houses=3)
    assert brigade.load_scenario(scenario) is scenario


def test_changes_replace_parameters():
    scenario = brigade.load_scenario("hard", num_houses=7, min_nights=2)
    assert (scenario.num_houses, scenario.min_nights) == (7, 2)
    assert scenario.prob_house_catches_fire == brigade.load_scenario("hard").prob_house_catches_fire


@pytest.mark.parametrize("as_text", [True, False])
def test_a_toml_file(tmp_path, as_text):
    path = tmp_path / "some.toml"
    path.write_text(FILE_TOML)
    scenario = brigade.load_scenario(str(path) if as_text else path, min_nights=3)
    hard = brigade.load_scenario("hard")
    assert scenario == hard.replace(
        num_houses=6, reward_own_house_survives=[1.0, 2.0, 3.0], min_nights=3
    )


def test_a_file_has_its_own_labels(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text(FILE_TOML)
    scenario = brigade.load_scenario(path)
    assert (scenario.name, scenario.description) == ("mine", "A test.")


def test_a_json_file_is_named_after_itself_and_starts_from_the_defaults(tmp_path):
    path = tmp_path / "little.JSON"
    path.write_text(json.dumps({"num_houses": 3, "agent_home_positions": None}))
    scenario = brigade.load_scenario(path)
    assert scenario == brigade.Scenario(num_houses=3)
    assert scenario.name == "little"


def test_every_parameter_survives_a_json_file(tmp_path):
    for name in brigade.scenario_names():
        scenario = brigade.load_scenario(name)
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(scenario.to_dict()))
        assert brigade.load_scenario(path) == scenario


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("defualt", "default"),
        (7, "not 7"),
        (None, "not None"),
        ("nowhere.toml", "nowhere.toml"),
        (Path("nowhere.json"), "nowhere.json"),
        (Path("default"), "default"),
    ],
)
def test_what_is_no_scenario_is_refused(source, words):
    with pytest.raises(ValueError, match=words):
        brigade.load_scenario(source)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.toml", "num_houses = ", "line 1: invalid value"),
        ("a.toml", "num_houses = 3\n\nmin_nights 3\n", "line 3: expected '='"),
        ("a.toml", "num-houses = 3\nnum_houses = 3", "'num_houses' is there twice"),
        ("a.toml", 'name = "a\\u001bb"', "name must have no control characters"),
        ("a.toml", 'name = "a\\u202eb"', "name must have no control characters"),
        ("a.toml", 'description = "a\\u001bb"', "description must have no control characters"),
        ("a.json", '{"num_houses": 3,\n}', "line 2: "),
        ("a.json", '{"num_houses": 3, "num_houses": 4}', "'num_houses' is there twice"),
        ("a.toml", "num_house = 3", "num_houses"),
        ("a.toml", "num_houses = 1", "num_houses"),
        ("a.toml", "num_houses = true", "num_houses"),
        ("a.toml", "prob_house_catches_fire = nan", "prob_house_catches_fire"),
        ("a.toml", "[num_houses]\nx = 1", "num_houses"),
        ("a.toml", 'base = "nothing"', "nothing"),
        ("a.toml", "base = 3", "base must be text"),
        ("a.toml", "name = 3", "name must be text"),
        ("a.json", "[1, 2]", "a table of settings is wanted, not list"),
        ("a.json", "[" * 100_000, "a.json"),
        ("a.json", '{"prob_house_catches_fire": Infinity}', "prob_house_catches_fire"),
        ("a.json", '{"prob_house_catches_fire": "0.5"}', "prob_house_catches_fire"),
        ("a.json", '{"self": 1}', "self"),
        ("a.yaml", "num_houses: 3", "must end in .toml or .json"),
    ],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=words) as refusal:
        brigade.load_scenario(path)
    assert str(path) in str(refusal.value)
    assert "\n" not in str(refusal.value).strip()


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"num_houses":\n"\xff"}')
    with pytest.raises(ValueError, match=r"a\.json': line 2: not UTF-8"):
        brigade.load_scenario(path)


def test_a_file_may_have_a_mark_at_its_start_dashes_and_a_description_of_several_lines(tmp_path):
    path = tmp_path / "a.toml"
    text = 'num-houses = 3\r\nname = "Zoë"\ndescription = """\nSmall,\n  and hard.\n"""\n'
    path.write_bytes(text.encode("utf-8-sig"))
    scenario = brigade.load_scenario(path)
    assert scenario == brigade.Scenario(num_houses=3)
    assert scenario.name == "Zoë"
    assert scenario.description == "Small, and hard."


def test_a_file_whose_name_would_not_show_names_its_scenario_escaped(tmp_path):
    path = tmp_path / "a\n\x1b[31mb\udce9.toml"
    path.write_text("num_houses = 3")
    assert brigade.load_scenario(path).name == r"a\n\x1b[31mb\udce9"


def test_a_huge_file_is_refused(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("# " + "x" * (1 << 20))
    with pytest.raises(ValueError, match="larger than"):
        brigade.load_scenario(path)
