"""The node's name, its signing key, the tenants' keys."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from wardwright.kernel.errors import WardwrightError
from wardwright.storage.keys import SignatureCheck, TenantKeys, identity, public_keys
from wardwright.testing.determinism import EPOCH_US, SeededLuck


def test_the_node_is_named_once(tmp_path: Path) -> None:
    first = identity(tmp_path, now_us=EPOCH_US, luck=SeededLuck("a"))
    second = identity(tmp_path, now_us=EPOCH_US + 1, luck=SeededLuck("b"))
    assert first.node == second.node
    assert first.node.startswith("node_")
    assert first.signer.key == second.signer.key


def test_a_signature_verifies_under_its_own_key_and_message_alone(tmp_path: Path) -> None:
    signer = identity(tmp_path, now_us=EPOCH_US, luck=SeededLuck()).signer
    other = identity(tmp_path / "other", now_us=EPOCH_US, luck=SeededLuck()).signer
    check = SignatureCheck(public_keys(tmp_path))
    signature = signer.sign(b"message")
    assert check(signer.key, b"message", signature)
    assert not check(signer.key, b"massage", signature)
    assert not check(signer.key, b"message", other.sign(b"message"))
    assert not check(other.key, b"message", other.sign(b"message"))
    assert not check(signer.key, b"message", signature.upper())
    assert not check(signer.key, b"message", "not hex")


def test_an_old_signature_verifies_after_the_key_was_replaced(tmp_path: Path) -> None:
    old = identity(tmp_path, now_us=EPOCH_US, luck=SeededLuck()).signer
    (tmp_path / "keys" / "signing.pem").unlink()
    new = identity(tmp_path, now_us=EPOCH_US, luck=SeededLuck()).signer
    check = SignatureCheck(public_keys(tmp_path))
    assert old.key != new.key
    assert check(old.key, b"x", old.sign(b"x"))
    assert check(new.key, b"x", new.sign(b"x"))


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    identity(tmp_path, now_us=EPOCH_US, luck=SeededLuck())
    TenantKeys(tmp_path, SeededLuck()).key("local")
    secrets = [tmp_path / "keys" / "signing.pem", *(tmp_path / "keys" / "tenants").iterdir()]
    assert [stat.S_IMODE(path.stat().st_mode) for path in secrets] == [0o600, 0o600]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    identity(tmp_path, now_us=EPOCH_US, luck=SeededLuck())
    (tmp_path / "keys" / "signing.pem").chmod(0o644)
    with pytest.raises(WardwrightError) as refused:
        identity(tmp_path, now_us=EPOCH_US, luck=SeededLuck())
    assert refused.value.code == "credential_unreadable"


def test_equal_bodies_compare_equal_inside_one_tenant_alone(tmp_path: Path) -> None:
    keys = TenantKeys(tmp_path, SeededLuck())
    assert keys.digest("a", b"body") == TenantKeys(tmp_path, SeededLuck("other")).digest("a", b"body")
    assert keys.digest("a", b"body") != keys.digest("b", b"body")


@pytest.mark.parametrize("tenant", ["../../etc", "a/b", "", "日本", "x" * 500])
def test_tenants_may_be_called_anything(tmp_path: Path, tenant: str) -> None:
    TenantKeys(tmp_path, SeededLuck()).key(tenant)
    (path,) = (tmp_path / "keys" / "tenants").iterdir()
    assert path.name.endswith(".key")


def test_a_forgotten_tenants_key_is_gone_for_good(tmp_path: Path) -> None:
    keys = TenantKeys(tmp_path, SeededLuck())
    before = keys.digest("a", b"body")
    assert keys.forget("a")
    assert keys.digest("a", b"body") != before
    assert not TenantKeys(tmp_path / "none", SeededLuck()).forget("a")
