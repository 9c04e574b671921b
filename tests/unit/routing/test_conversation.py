from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wardwright.routing.conversation import (
    CLIENT_SESSION_HEADERS,
    FIRST_MESSAGE_CHARS_MAX,
    Conversation,
    conversation_of,
    place_of,
    session_headers,
)
from wardwright.routing.draw import Keyed

KEY = Keyed(b"installation")


def derived(text: str, tenant: str = "acme", key: str = "key_1", secret: Keyed = KEY) -> Conversation:
    return conversation_of(secret, tenant, key, first_user_message=text)


def test_what_is_declared_goes_before_what_is_known_said_or_derived() -> None:
    said = {"declared": "a", "client": "b", "metadata": "c", "first_user_message": "d"}
    sources = []
    while said:
        sources.append(conversation_of(KEY, "acme", "key_1", **said).source)
        del said[next(iter(said))]
    assert sources == ["declared", "client", "metadata", "derived"]


def test_without_anything_said_the_key_is_the_conversation() -> None:
    first, second = conversation_of(KEY, "acme", "key_1"), conversation_of(KEY, "acme", "key_2")
    assert first.source == "none"
    assert first.digest != second.digest


def test_an_empty_statement_counts_as_none() -> None:
    assert conversation_of(KEY, "acme", "key_1", declared="", metadata="m").source == "metadata"


def test_one_session_id_is_one_conversation_however_it_is_stated() -> None:
    by_header, by_body = (
        conversation_of(KEY, "acme", "key_1", declared="s"),
        conversation_of(KEY, "acme", "key_1", metadata="s"),
    )
    assert by_header.digest == by_body.digest
    assert by_header.source != by_body.source


def test_a_stated_id_never_meets_words() -> None:
    assert conversation_of(KEY, "acme", "key_1", declared="hello").digest != derived("hello").digest


def test_tenants_and_keys_never_share_a_conversation() -> None:
    pairs = [("acme", "key_1"), ("acme", "key_2"), ("umbrella", "key_1"), ("acmek", "ey_1"), ("acm", "ekey_1")]
    assert len({derived("hello", tenant, key).digest for tenant, key in pairs}) == len(pairs)


def test_who_lacks_the_key_cannot_guess_the_digest() -> None:
    assert derived("hello").digest != derived("hello", secret=Keyed(b"another")).digest


def test_a_long_first_message_counts_by_its_ends_and_its_length() -> None:
    middle = "x" * 5000
    ends = "a" * FIRST_MESSAGE_CHARS_MAX, "z" * FIRST_MESSAGE_CHARS_MAX
    text = middle.join(ends)
    assert derived(text) == derived(text)
    assert derived(text) != derived(text + "z")
    assert derived(text) != derived(text.replace("z", "y"))
    assert derived(text) != derived(text.replace("a", "b"))


def test_a_lone_surrogate_does_not_fail_a_request() -> None:
    assert len(derived("\ud800").digest) == 64


def test_the_headers_of_known_clients_are_read_the_more_telling_first() -> None:
    headers = [(b"x-session-id", b"general"), (b"x-opencode-session", b"ses_1"), (b"accept", b"*/*")]
    assert session_headers(dict(headers)) == (None, "ses_1")
    assert session_headers(dict(headers[::-1])) == (None, "ses_1")
    assert session_headers({**dict(headers), b"x-wardwright-session-id": b"mine"}) == ("mine", "ses_1")


def test_a_known_header_without_a_value_is_passed_over() -> None:
    assert session_headers({b"session_id": b"", b"x-session-id": b"s"}) == (None, "s")


def test_known_headers_are_spelled_as_they_arrive() -> None:
    assert all(name == name.lower() for name in CLIENT_SESSION_HEADERS)


def test_the_place_moves_by_steps_within_a_turn_and_by_turns_between_them() -> None:
    roles, places = ["system", "user"], []
    for reply in ("assistant", "tool", "assistant", "tool", "assistant", "user"):
        places.append(tuple(place_of(roles)))
        roles.append(reply)
    places.append(tuple(place_of(roles)))
    assert [place for place in places if place not in places[: places.index(place)]] == [
        (0, 0, False),
        (1, 0, False),
        (1, 0, True),
        (2, 0, False),
        (2, 0, True),
        (3, 0, False),
        (3, 1, False),
    ]


def test_a_chat_without_messages_stands_at_its_beginning() -> None:
    assert place_of([]) == (0, 0, False)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_a_conversation_keeps_its_digest_while_it_grows_and_others_have_others(first: str, other: str) -> None:
    assert derived(first) == derived(first)
    assert (derived(first).digest == derived(other).digest) == (first == other)
