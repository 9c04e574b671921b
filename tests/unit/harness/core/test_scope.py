"""What one call may touch."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.contracts.tool import ToolContract, ToolScope
from wardwright.harness.core.hands import Scope
from wardwright.harness.core.scope import scope_of
from wardwright.kernel.errors import WardwrightError


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """What a call came with."""

    path: str = "/srv/a"
    paths: tuple[str, ...] = ()
    url: str = "https://example.com/x"
    host: str | None = None
    port: int = 80


def of(scope: ToolScope, **arguments: object) -> Scope:
    contract = ToolContract(name="x", effect="read", reversal="T0", implements="x", scope=scope)
    return scope_of(contract, Arguments(**arguments))  # type: ignore[arg-type]  # the tests say what each is


def test_arguments_fill_the_holes() -> None:
    scope = ToolScope(read=("/etc", "{path}"), write=("{path}/{paths}",), programs=("git",), environment=("LANG",))
    assert of(scope, paths=("b", "c")) == Scope(
        read=("/etc", "/srv/a"), write=("/srv/a/b", "/srv/a/c"), programs=("git",), environment=("LANG",)
    )


def test_an_argument_that_was_left_out_takes_its_entry_with_it() -> None:
    assert of(ToolScope(read=("{path}/{paths}",), hosts=("{host}:{port}",))) == Scope()


def test_a_host_that_an_argument_chose_is_reached_at_public_addresses_alone() -> None:
    scope = ToolScope(hosts=("{host}:{port}", "{url}", "db.example:*"))
    assert of(scope, host="a.example", port=443) == Scope(
        hosts=("db.example:*",), public_hosts=("a.example:443", "example.com:443")
    )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example/", "a.example:80"),
        ("https://a.example:8443?x", "a.example:8443"),
        ("https://A.example/", "a.example:443"),
        ("http://[::1]/", "[::1]:80"),
        ("https://u:p@a.example/", "a.example:443"),
        ("https://a.example\\@b.example/", "b.example:443"),  # what stands before the `@` is a user's name
    ],
)
def test_an_address_is_the_host_and_port_that_it_leads_to(url: str, host: str) -> None:
    assert of(ToolScope(hosts=("{url}",)), url=url).public_hosts == (host,)


@pytest.mark.parametrize("path", ["a", "", "/a/../b", "/a/..", "/a\0"])
def test_a_path_that_climbs_or_is_not_absolute_is_refused(path: str) -> None:
    with pytest.raises(WardwrightError) as caught:
        of(ToolScope(read=("{path}",)), path=path)
    assert caught.value.code == "tool_arguments"
    assert caught.value.place is not None
    assert caught.value.place.path == "path"


@pytest.mark.parametrize("part", ["..", "../b", "b/../../c"])
def test_a_part_of_a_path_does_not_climb(part: str) -> None:
    with pytest.raises(WardwrightError):
        of(ToolScope(read=("/srv/{paths}",)), paths=(part,))


@pytest.mark.parametrize("host", ["*", "*.example", "a*"])
def test_an_argument_does_not_widen_a_host(host: str) -> None:
    with pytest.raises(WardwrightError):
        of(ToolScope(hosts=("{host}:{port}",)), host=host)


@pytest.mark.parametrize("url", ["ftp://a/", "https://", "https://a:x/", "https://a b/", "file:///etc"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(WardwrightError):
        of(ToolScope(hosts=("{url}",)), url=url)


@pytest.mark.parametrize("path", ["/srv//a", "/srv/./a", "//srv/a", "/srv/a/", "/srv/a/."])
def test_a_path_has_one_spelling_in_a_scope(path: str) -> None:
    assert of(ToolScope(read=("{path}",)), path=path).read == ("/srv/a",)
