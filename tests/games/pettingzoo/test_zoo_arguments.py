"""Arguments of environments as a person types them."""

import pytest

from brigade.config import ConfigError, convert
from brigade.run.check_env import CheckEnvConfig


def parse(given):
    return convert(CheckEnvConfig, {"env": "any", "env_arg": given}).env_arg


def weights(text):
    return convert(CheckEnvConfig, {"env": "any", "reward_weights": text}).reward_weights


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("N=3", 3),
        ("N = 3", 3),
        ("N=-0.5", -0.5),
        ("N=1e3", 1000.0),
        ("N=True", True),
        ("N=false", False),
        ("N=None", None),
        ("N=[1, (2, 3)]", [1, [2, 3]]),
        ("N={'a': 1}", {"a": 1}),
        ("N=human", "human"),
        ("N='3'", "3"),
        ("N=", ""),
        ("N=a=b", "a=b"),
        ("N=__import__('os').getpid()", "__import__('os').getpid()"),
        ("N=" + "(" * 5000, "(" * 5000),
    ],
)
def test_values_are_literals_or_else_text(text, value):
    [(key, found)] = parse([text]).items()
    assert key == "N"
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["N"], "'N' is not KEY=VALUE"),
        (["=3"], "'=3' is not KEY=VALUE"),
        (["a b=3"], "'a b=3' is not KEY=VALUE"),
        (["a\nb=3"], r"'a\\nb=3' is not KEY=VALUE"),
        (["N=3", "M=1", "N=4"], "N is given twice"),
    ],
)
def test_mistakes_are_named(given, words):
    with pytest.raises(ConfigError, match=words):
        parse(given)


def test_weights_of_rewards():
    assert weights("1,0.5, -2") == [1.0, 0.5, -2.0]
    for text in ("1,", "one", "1;2"):
        with pytest.raises(ConfigError, match="--reward-weights"):
            weights(text)
