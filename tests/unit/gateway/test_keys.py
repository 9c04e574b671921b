from __future__ import annotations

import pytest

from wardwright.gateway.core.keys import TOKEN_LUCK_BITS, Key, KeyRing, hash_of, token_of
from wardwright.kernel.errors import WardwrightError

TOKEN = token_of(2**TOKEN_LUCK_BITS - 1)


def ring(**members: object) -> KeyRing:
    keys = KeyRing()
    keys.add(Key(created_at=1, hash=hash_of(TOKEN.encode()), id="key_1", **members))  # type: ignore[arg-type]
    return keys


def test_a_token_finds_its_key_and_no_other_token_does() -> None:
    keys = ring()
    assert keys.find(TOKEN.encode(), 2).id == "key_1"
    with pytest.raises(WardwrightError) as refused:
        keys.find(token_of(1).encode(), 2)
    assert refused.value.code == "invalid_api_key"


def test_unknown_expired_and_revoked_keys_are_refused_in_the_same_words() -> None:
    expired, revoked = ring(expires_at=5), ring()
    revoked.revoke("key_1", 3)
    said = set()
    for keys, token in ((ring(), b"wwk_other"), (expired, TOKEN.encode()), (revoked, TOKEN.encode())):
        with pytest.raises(WardwrightError) as refused:
            keys.find(token, 5)
        said.add(refused.value.message)
    assert len(said) == 1
    assert expired.find(TOKEN.encode(), 4).id == "key_1"


def test_a_ring_counts_keys_that_hold_and_remembers_when_others_ended() -> None:
    keys = ring()
    assert len(keys) == 1
    keys.revoke("key_1", 7)
    keys.revoke("key_1", 9)
    assert len(keys) == 0
    assert [at for _, at in keys.all()] == [7]
    with pytest.raises(WardwrightError) as refused:
        keys.revoke("key_2", 7)
    assert refused.value.code == "key_not_found"


def test_models_are_allowed_by_globs_over_contract_names() -> None:
    key = Key(created_at=1, hash="00", id="key_1", models=("coding-*", "review"))
    assert key.allows_model("coding-balanced")
    assert key.allows_model("review")
    assert not key.allows_model("premium-review")
