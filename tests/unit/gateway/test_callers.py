from __future__ import annotations

import pytest

from wardwright.calls.receipt import Sourced
from wardwright.gateway.core.callers import bearer_of, identify
from wardwright.gateway.core.keys import Key
from wardwright.kernel.errors import WardwrightError

KEY = Key(created_at=1, hash="ab" * 32, id="key_1", tenant="acme", house="Ezra")


def test_without_any_claim_the_caller_is_the_tenant_local_and_nobody_in_particular() -> None:
    caller = identify({}, None, None)
    assert caller.tenant == Sourced("trusted_auth", "local")
    assert (caller.agent, caller.user, caller.key) == (None, None, None)


def test_a_key_alone_gives_its_tenant_and_a_stable_anonymous_agent() -> None:
    caller = identify({}, None, KEY)
    assert caller.tenant == Sourced("trusted_auth", "acme")
    assert caller.agent == Sourced("derived_anonymous", "anonymous-abababababab")
    assert caller == identify({b"x-wardwright-run-id": b""}, {}, KEY)


def test_the_strongest_source_of_each_claim_wins() -> None:
    headers = {
        b"x-wardwright-house": b"Bezalel",
        b"x-wardwright-agent-id": b"from-header",
        b"x-wardwright-session-id": b" ",
    }
    metadata = {
        "agent_id": "from-body",
        "session_id": "from-body",
        "user_api_key_user_id": "from-gateway",
        "application_id": "from-body",
        "user_api_key_team_id": "from-gateway",
    }
    caller = identify(headers, metadata, KEY)
    assert caller.house == Sourced("trusted_auth", "Ezra")
    assert caller.agent == Sourced("header", "from-header")
    assert caller.session == Sourced("body_metadata", "from-body")
    assert caller.user == Sourced("gateway_metadata", "from-gateway")
    assert caller.application == Sourced("body_metadata", "from-body")


def test_nothing_a_caller_says_changes_the_tenant() -> None:
    caller = identify({b"x-wardwright-tenant-id": b"other"}, {"tenant_id": "other"}, KEY)
    assert caller.tenant.value == "acme"


def test_tags_are_trimmed_sorted_and_said_once() -> None:
    assert identify({}, {"tags": " b, a ,b,"}, None).tags == ("a", "b")
    assert identify({}, {"tags": ["z", "y"]}, None).tags == ("y", "z")


@pytest.mark.parametrize(
    ("headers", "metadata", "code"),
    [
        ({b"x-wardwright-run-id": b"a\x00b"}, None, "invalid_header"),
        ({b"x-wardwright-run-id": b"\xff\xfe"}, None, "invalid_header"),
        ({b"x-wardwright-run-id": b"x" * 300}, None, "invalid_header"),
        ({}, {"run_id": {"nested": True}}, "invalid_request"),
        ({}, {"run_id": True}, "invalid_request"),
        ({}, {"run_id": "line\nbreak"}, "invalid_request"),
        ({}, {"tags": 7}, "invalid_request"),
        ({}, {"tags": ["t" * 100]}, "invalid_request"),
    ],
)
def test_claims_that_are_not_plain_text_are_refused_with_their_place(
    headers: dict[bytes, bytes], metadata: dict[str, object] | None, code: str
) -> None:
    with pytest.raises(WardwrightError) as refused:
        identify(headers, metadata, None)
    assert refused.value.code == code


def test_a_credential_shows_in_no_representation() -> None:
    bearer = bearer_of({b"authorization": b"Bearer wwk_secret"})
    assert bearer is not None
    assert bearer.token == b"wwk_secret"
    assert "secret" not in repr(bearer)
    assert bearer_of({b"x-api-key": b"k"}) is not None
    with pytest.raises(WardwrightError, match="Bearer"):
        bearer_of({b"authorization": b"Basic abc"})
