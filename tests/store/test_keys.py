"""Key files: what is written, and what is refused."""

import stat

import pytest

from brigade.config import ConfigError
from brigade.store import keys
from brigade.wire.auth import new_keys


def pair(folder, name):
    drawn = new_keys()
    return (*keys.write_pair(folder, name, drawn.public, drawn.secret), drawn)


def test_a_private_key_is_private_and_comes_back(tmp_path):
    private, public, drawn = pair(tmp_path / "keys", "me")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert keys.read_pair(private) == (drawn.public, drawn.secret)
    assert keys.read_public(str(public)) == keys.read_public(drawn.public) == drawn.public
    assert drawn.secret not in public.read_text()


def test_a_private_key_that_others_can_read_is_refused(tmp_path):
    private, _, _ = pair(tmp_path, "me")
    private.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        keys.read_pair(private)


def test_a_key_is_never_written_over(tmp_path):
    private, _, _ = pair(tmp_path, "me")
    before = private.read_text()
    with pytest.raises(ConfigError, match="exists"):
        pair(tmp_path, "me")
    assert private.read_text() == before


def test_keys_are_admitted_and_revoked(tmp_path):
    _, public, drawn = pair(tmp_path, "friend")
    folder = tmp_path / "admitted"
    assert keys.admitted(folder) == {}
    assert keys.admit(public, folder) == "friend"
    keys.admit(public, folder)  # twice is once
    assert keys.admitted(folder) == {drawn.public: "friend"}
    keys.revoke("friend", folder)
    assert keys.admitted(folder) == {}
    with pytest.raises(ConfigError, match="not admitted"):
        keys.revoke("friend", folder)


def test_admitting_a_private_key_file_keeps_its_secret_out(tmp_path):
    private, _, drawn = pair(tmp_path, "friend")
    keys.admit(private, tmp_path / "admitted")
    assert drawn.secret not in (tmp_path / "admitted" / "friend.pub").read_text()


def test_another_key_of_an_admitted_name_is_refused(tmp_path):
    _, one, _ = pair(tmp_path / "a", "friend")
    _, two, _ = pair(tmp_path / "b", "friend")
    keys.admit(one, tmp_path / "admitted")
    with pytest.raises(ConfigError, match="revoke friend first"):
        keys.admit(two, tmp_path / "admitted")


@pytest.mark.parametrize("name", ["", "../x", ".x", "a/b", "x" * 65])
def test_a_name_is_a_file_name(tmp_path, name):
    with pytest.raises(ConfigError):
        pair(tmp_path, name)


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 9999, b"\xff", b'{"public": 1}', b"null"])
def test_what_is_no_key_is_one_line(tmp_path, content):
    path = tmp_path / "x.pub"
    path.write_bytes(content)
    for read in (keys.read_pair, lambda p: keys.read_public(str(p))):
        with pytest.raises(ConfigError) as refused:
            read(path)
        assert "\n" not in str(refused.value)
    assert keys.admitted(tmp_path) == {}


def test_admitted_keys_are_read_again_only_when_they_have_changed(tmp_path, monkeypatch):
    folders = [tmp_path / "one", tmp_path / "two"]
    found = keys.AdmittedKeys(folders)
    assert found() == {}, "nor need the folders be there"
    reads = []
    usual = keys._read
    monkeypatch.setattr(keys, "_read", lambda path: reads.append(path) or usual(path))
    drawn = [new_keys() for _ in range(3)]
    for number, pair in enumerate(drawn):
        _, public = keys.write_pair(tmp_path, f"key{number}", pair.public, pair.secret)
        keys.admit(public, folders[number % 2])
        assert set(found()) == {each.public for each in drawn[: number + 1]}
    reads.clear()
    for _ in range(10):
        assert found() == {pair.public: f"key{n}" for n, pair in enumerate(drawn)}
    assert reads == []
    keys.revoke("key1", folders[1])
    assert set(found()) == {drawn[0].public, drawn[2].public}
    # One that is written over in its place, too.
    (folders[0] / "key0.pub").write_text((tmp_path / "key1.pub").read_text())
    assert set(found()) == {drawn[1].public, drawn[2].public}
