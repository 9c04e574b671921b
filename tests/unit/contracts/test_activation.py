"""Files propose, activations serve."""

from __future__ import annotations

import msgspec
import pytest

from wardwright.contracts.activation import (
    KINDS,
    VERSIONS_KEPT_MAX,
    Activations,
    CanaryEnded,
    ContractActivated,
    ContractStored,
    ContractWithdrawn,
    Fact,
    History,
    activate,
    adopt,
    canary_serves,
    end_canary,
    find,
    folded,
    kind_of,
    propose,
    rollback,
    start_canary,
    withdraw_absent,
)
from wardwright.contracts.digest import Contract, digest
from wardwright.contracts.model import Canary, ModelContract, Target, TargetRef, When
from wardwright.contracts.provider import Provider
from wardwright.kernel import canonical
from wardwright.kernel.errors import WardwrightError
from wardwright.routing.plan import RouteFacts

TARGET = Target(name="t", provider="p", model="x", context_window=8192)


def version(label: str, manual: bool = False) -> ModelContract:
    return ModelContract(
        name="m",
        targets=(TARGET,),
        route=TargetRef(target="t"),
        version=label,
        activate="manual" if manual else "auto",
    )


ONE, TWO, THREE = version("v1"), version("v2"), version("v3")
D1, D2, D3 = digest(ONE), digest(TWO), digest(THREE)


def closure(of: str) -> str:
    return f"closure of {of}"


class World:
    """A control chain with a clock that ticks once a fact."""

    def __init__(self) -> None:
        self.facts: list[tuple[int, Fact]] = []

    @property
    def state(self) -> Activations:
        """Folded anew each time: every look is a restart."""
        return folded(self.facts)

    @property
    def history(self) -> History:
        return self.state.models["m"]

    def write(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        for fact in facts:
            self.facts.append((1000 * (len(self.facts) + 1), fact))
        return facts

    def load(self, *contracts: Contract) -> tuple[Fact, ...]:
        """The files hold these contracts."""
        written: tuple[Fact, ...] = ()
        for contract in contracts:
            written += self.write(propose(self.state, contract, source="m.yaml", closure=closure))
        return written

    @property
    def active(self) -> str | None:
        return None if self.history.active is None else self.history.active.digest

    @property
    def canary(self) -> str | None:
        return None if self.history.canary is None else self.history.canary.digest


@pytest.fixture
def world() -> World:
    return World()


def test_a_new_file_is_stored_and_activated_at_once(world: World) -> None:
    stored, activated = world.load(ONE)

    assert stored == ContractStored(
        by="file", digest=D1, kind="model", label="v1", name="m", origin="file", source="m.yaml"
    )
    assert activated == ContractActivated(
        by="file", canary=None, closure=f"closure of {D1}", digest=D1, mode="active", name="m"
    )
    assert world.active == D1


def test_a_file_that_did_not_change_adds_no_fact(world: World) -> None:
    world.load(ONE)

    assert world.load(ONE, ONE) == ()


def test_a_manual_contract_waits_as_a_draft(world: World) -> None:
    world.load(ONE)
    draft = version("v2", manual=True)
    world.load(draft)

    statuses = [(one.label, world.history.status(one)) for one in world.history.versions]
    assert statuses == [("v1", "active"), ("v2", "draft")]

    world.write(activate(world.state, "m", digest(draft), closure=closure, by="ann"))
    assert world.active == digest(draft)
    assert world.history.active is not None
    assert world.history.active.by == "ann"


def test_activating_what_is_active_changes_nothing(world: World) -> None:
    world.load(ONE)

    assert activate(world.state, "m", D1, closure=closure, by="ann") == ()


def test_a_rollback_survives_a_restart_with_the_same_files(world: World) -> None:
    world.load(ONE)
    world.load(TWO)
    (fact,) = world.write(rollback(world.state, "m", closure=closure, by="ann"))

    assert isinstance(fact, ContractActivated)
    assert (fact.mode, fact.digest) == ("rolled_back", D1)
    assert world.load(TWO) == ()
    assert world.active == D1


def test_a_changed_file_ends_a_rollback(world: World) -> None:
    world.load(ONE)
    world.load(TWO)
    world.write(rollback(world.state, "m", closure=closure, by="ann"))
    world.load(THREE)

    assert world.active == D3


def test_a_file_set_back_to_what_serves_is_stored_and_not_activated_again(world: World) -> None:
    world.load(ONE)
    world.load(TWO)
    world.write(rollback(world.state, "m", closure=closure, by="ann"))

    assert [type(fact) for fact in world.load(ONE)] == [ContractStored]
    assert [type(fact) for fact in world.load(TWO)] == [ContractStored, ContractActivated]


def test_each_rollback_goes_one_version_further_back(world: World) -> None:
    for contract in (ONE, TWO, THREE):
        world.load(contract)

    for expected in (D2, D1):
        world.write(rollback(world.state, "m", closure=closure, by="ann"))
        assert world.active == expected
    with pytest.raises(WardwrightError, match="no version before the active one"):
        rollback(world.state, "m", closure=closure, by="ann")


def test_a_rollback_may_name_its_version(world: World) -> None:
    for contract in (ONE, TWO, THREE):
        world.load(contract)
    world.write(rollback(world.state, "m", closure=closure, by="ann", to="v1"))

    assert world.active == D1
    assert rollback(world.state, "m", closure=closure, by="ann", to="v1") == ()


def test_a_canary_stands_beside_the_active_version(world: World) -> None:
    world.load(ONE)
    world.write(adopt(world.state, TWO, source="bundle.json", by="ann"))
    rule = Canary(share_ppm=50_000)
    (fact,) = world.write(start_canary(world.state, "m", "v2", rule, closure=closure, by="ann"))

    assert isinstance(fact, ContractActivated)
    assert (fact.mode, fact.canary) == ("canary", rule)
    assert (world.active, world.canary) == (D1, D2)
    assert start_canary(world.state, "m", "v2", rule, closure=closure, by="ann") == ()


def test_a_canary_ends_by_itself_when_anything_is_activated(world: World) -> None:
    world.load(ONE)
    world.write(adopt(world.state, TWO, source="bundle.json", by="ann"))
    world.write(start_canary(world.state, "m", "v2", Canary(share_ppm=1), closure=closure, by="ann"))
    world.write(activate(world.state, "m", "v2", closure=closure, by="ann"))

    assert (world.active, world.canary) == (D2, None)


def test_a_canary_can_be_stopped(world: World) -> None:
    world.load(ONE)
    world.write(adopt(world.state, TWO, source="bundle.json", by="ann"))
    assert end_canary(world.state, "m", by="ann") == ()
    world.write(start_canary(world.state, "m", "v2", Canary(share_ppm=1), closure=closure, by="ann"))

    assert world.write(end_canary(world.state, "m", by="ann")) == (CanaryEnded(by="ann", digest=D2, name="m"),)
    assert (world.active, world.canary) == (D1, None)


@pytest.mark.parametrize(
    "rule",
    [Canary(), Canary(share_ppm=0), Canary(share_ppm=1_000_000), Canary(when=When()), Canary(share_ppm=1, when=When())],
)
def test_a_canary_needs_one_rule_that_can_pick(world: World, rule: Canary) -> None:
    world.load(ONE)
    world.write(adopt(world.state, TWO, source="bundle.json", by="ann"))

    with pytest.raises(WardwrightError) as caught:
        start_canary(world.state, "m", "v2", rule, closure=closure, by="ann")
    assert caught.value.code == "contract_invalid"


def test_a_canary_is_not_the_active_version_and_needs_one(world: World) -> None:
    world.load(version("v0", manual=True))
    with pytest.raises(WardwrightError, match="no active version"):
        start_canary(world.state, "m", "v0", Canary(share_ppm=1), closure=closure, by="ann")

    world.load(ONE)
    with pytest.raises(WardwrightError, match="serves all calls already"):
        start_canary(world.state, "m", "v1", Canary(share_ppm=1), closure=closure, by="ann")


def test_an_import_is_a_draft_whatever_it_asks_for(world: World) -> None:
    (fact,) = world.write(adopt(world.state, ONE, source="bundle.json", by="ann"))

    assert isinstance(fact, ContractStored)
    assert fact.origin == "import"
    assert world.active is None
    assert adopt(world.state, ONE, source="bundle.json", by="ann") == ()


def test_a_name_whose_file_is_gone_serves_no_longer_until_it_comes_back(world: World) -> None:
    world.load(ONE)
    assert withdraw_absent(world.state, present={"m"}, unread=()) == ()

    facts = world.write(withdraw_absent(world.state, present=(), unread=()))
    assert facts == (ContractWithdrawn(by="file", name="m"),)
    assert world.active is None
    assert withdraw_absent(world.state, present=(), unread=()) == ()

    world.load(ONE)
    assert world.active == D1


def test_what_a_refused_file_may_hold_goes_on_serving(world: World) -> None:
    world.load(ONE)

    assert withdraw_absent(world.state, present=(), unread={"m.yaml"}) == ()


def test_imports_have_no_file_to_lose(world: World) -> None:
    world.write(adopt(world.state, ONE, source="bundle.json", by="ann"))
    world.write(activate(world.state, "m", "v1", closure=closure, by="ann"))

    assert withdraw_absent(world.state, present=(), unread=()) == ()


def test_providers_are_stored_and_never_activated(world: World) -> None:
    provider = Provider(name="p", base_url="http://h/v1")
    (fact,) = world.load(provider)

    assert isinstance(fact, ContractStored)
    assert fact.kind == "provider"
    assert world.load(provider) == ()
    assert world.state.models == {}


def test_versions_are_listed_with_the_instants_they_were_stored_and_served(world: World) -> None:
    world.load(ONE)
    world.load(TWO)

    assert [(one.label, one.stored_at, one.activated_at) for one in world.history.versions] == [
        ("v1", 1000, 2000),
        ("v2", 3000, 4000),
    ]
    assert [(step.at, step.fact.digest) for step in world.history.steps] == [(2000, D1), (4000, D2)]
    assert [world.history.status(one) for one in world.history.versions] == ["retired", "active"]


def test_a_version_is_found_by_label_digest_or_prefix(world: World) -> None:
    world.load(ONE)
    world.load(TWO)

    for text in ("v2", D2, D2.removeprefix("sha256:"), D2[:19], D2.removeprefix("sha256:")[:6].upper()):
        assert find(world.state, "m", text).digest == D2


@pytest.mark.parametrize(("name", "text", "hint"), [("m", "v9", "model versions m"), ("m", "", None), ("n", "v1", "m")])
def test_a_version_that_is_not_there_is_not_guessed(world: World, name: str, text: str, hint: str | None) -> None:
    world.load(ONE)

    with pytest.raises(WardwrightError) as caught:
        find(world.state, name, text)
    assert caught.value.code == "contract_not_found"
    assert hint is None or (caught.value.hint is not None and hint in caught.value.hint)


def test_a_label_used_twice_names_no_version(world: World) -> None:
    world.load(ONE)
    world.load(msgspec.structs.replace(ONE, description="other"))

    with pytest.raises(WardwrightError, match="2 versions of `m` match `v1`"):
        find(world.state, "m", "v1")


def test_the_fold_remembers_a_bounded_number_of_versions_and_what_serves_among_them(world: World) -> None:
    world.load(ONE)
    for index in range(VERSIONS_KEPT_MAX + 5):
        facts = adopt(Activations(), version(f"i{index}"), source="b", by="ann")
        world.write(facts)

    versions = world.history.versions
    assert len(versions) == VERSIONS_KEPT_MAX
    assert versions[0].digest == D1
    assert versions[-1].label == f"i{VERSIONS_KEPT_MAX + 4}"


def test_folding_goes_on_from_where_it_stopped(world: World) -> None:
    world.load(ONE)
    world.load(TWO)
    world.write(rollback(world.state, "m", closure=closure, by="ann"))

    for cut in range(len(world.facts) + 1):
        assert folded(world.facts[cut:], folded(world.facts[:cut])) == world.state


def test_facts_are_canonical_as_they_stand() -> None:
    facts: tuple[Fact, ...] = (
        ContractStored(by="f", digest=D1, kind="model", label=None, name="m", origin="file", source="m.yaml"),
        ContractActivated(
            by="f",
            canary=Canary(when=When(tenant=("a",), agent=("b",), cost_usd_max="1", input_tokens_min=5)),
            closure="c",
            digest=D1,
            mode="canary",
            name="m",
        ),
        CanaryEnded(by="f", digest=D1, name="m"),
        ContractWithdrawn(by="f", name="m"),
    )

    assert [kind_of(fact) for fact in facts] == list(KINDS)
    for fact in facts:
        written = msgspec.json.encode(fact)
        assert written == canonical.encode(fact)
        canonical.require(fact)
        assert msgspec.json.decode(written, type=KINDS[kind_of(fact)]) == fact


# Serving


def test_a_canary_by_condition_serves_the_calls_it_names() -> None:
    rule = Canary(when=When(tags=("beta",)))

    assert canary_serves(rule, D1, "", RouteFacts(tags=("beta",)))
    assert not canary_serves(rule, D1, "", RouteFacts())


def test_a_share_is_the_share_of_conversations_it_says() -> None:
    rule = Canary(share_ppm=250_000)
    served = sum(canary_serves(rule, D1, f"{number:032x}", RouteFacts()) for number in range(4000))

    assert 900 < served < 1100


def test_a_conversation_stays_on_the_canary_when_its_share_grows() -> None:
    for number in range(200):
        conversation = f"{number:032x}"
        sides = [
            canary_serves(Canary(share_ppm=ppm), D1, conversation, RouteFacts()) for ppm in range(1, 10**6, 99_999)
        ]
        assert sides == sorted(sides)


def test_two_canaries_draw_apart() -> None:
    rule = Canary(share_ppm=500_000)
    conversations = [f"{number:032x}" for number in range(200)]
    sides = [[canary_serves(rule, each, one, RouteFacts()) for one in conversations] for each in (D1, D2)]

    assert 50 < sum(left == right for left, right in zip(*sides, strict=True)) < 150
