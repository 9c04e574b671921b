"""Sets of contracts and the control chain: checks that end on every graph, activations that keep their word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wardwright.contracts.activation import (
    Activations,
    ContractActivated,
    Fact,
    activate,
    adopt,
    end_canary,
    folded,
    propose,
    rollback,
    start_canary,
    withdraw_absent,
)
from wardwright.contracts.check import check
from wardwright.contracts.decode import Located
from wardwright.contracts.digest import digest
from wardwright.contracts.model import (
    ROUTE_DEPTH_MAX,
    ROUTE_TARGETS_MAX,
    Alias,
    Canary,
    Cascade,
    ModelContract,
    Node,
    Target,
    TargetRef,
)
from wardwright.contracts.provider import Provider
from wardwright.kernel.errors import WardwrightError
from wardwright.routing.graph import resolve

PROVIDERS = {"p": Located(Provider(name="p", base_url="http://h/v1"), "p.yaml")}
TARGET = Target(name="t", provider="p", model="x", context_window=1)

graphs = st.integers(1, 12).flatmap(
    lambda count: st.lists(st.lists(st.integers(0, count), max_size=4), min_size=count, max_size=count)
)
"""For each contract the contracts it leads to; `count` names one that does not exist."""


def contract(index: int, onward: list[int], depth: int) -> ModelContract:
    route: Node = Cascade(members=(TargetRef(target="t"), *(Alias(model=f"m{other}") for other in onward)))
    for _ in range(depth):
        route = Cascade(members=(route,))
    return ModelContract(name=f"m{index}", targets=(TARGET,), route=route)


def resolves(name: str, models: dict[str, ModelContract]) -> bool:
    """The other judge: routing unfolds the route itself."""
    try:
        return len(resolve(name, models).leaves) <= ROUTE_TARGETS_MAX
    except WardwrightError:
        return False


@given(graphs, st.lists(st.integers(0, 4), min_size=12, max_size=12))
def test_a_check_ends_on_every_graph_and_refuses_exactly_what_cannot_be_resolved(
    graph: list[list[int]], depths: list[int]
) -> None:
    models = {f"m{index}": contract(index, onward, depths[index]) for index, onward in enumerate(graph)}
    located = {name: Located(model, f"{name}.yaml") for name, model in models.items()}

    verdict = check(located, PROVIDERS, {})

    for name in models:
        assert (name in verdict.refused) is not resolves(name, models)
    assert bool(verdict.errors) is bool(verdict.refused)


@given(st.integers(2, 60))
def test_long_chains_and_wide_fans_are_counted_and_not_walked(size: int) -> None:
    fan = [contract(index, [index + 1] * 40 if index < size else [], 0) for index in range(size + 1)]
    located = {model.name: Located(model, "x.yaml") for model in fan}

    verdict = check(located, PROVIDERS, {})

    assert len(verdict.errors) == 1
    assert f"m{size}" not in verdict.refused
    assert len(verdict.refused) >= size - max(ROUTE_DEPTH_MAX, 2)


# The control chain

VERSIONS = [
    ModelContract(
        name="m",
        targets=(TARGET,),
        route=TargetRef(target="t"),
        deadline_s=index + 1,
        activate="manual" if index % 3 == 2 else "auto",
    )
    for index in range(6)
]
DIGESTS = [digest(version) for version in VERSIONS]

commands = st.lists(
    st.tuples(
        st.sampled_from(
            ("file", "file", "import", "activate", "rollback", "back to", "canary", "end canary", "delete")
        ),
        st.integers(0, len(VERSIONS) - 1),
    ),
    max_size=25,
)


def decided(state: Activations, command: str, index: int) -> tuple[Fact, ...]:
    def closure(of: str) -> str:
        return f"closure of {of}"

    try:
        match command:
            case "file":
                return propose(state, VERSIONS[index], source="m.yaml", closure=closure)
            case "import":
                return adopt(state, VERSIONS[index], source="b.json", by="ann")
            case "activate":
                return activate(state, "m", DIGESTS[index], closure=closure, by="ann")
            case "rollback":
                return rollback(state, "m", closure=closure, by="ann")
            case "back to":
                return rollback(state, "m", closure=closure, by="ann", to=DIGESTS[index])
            case "canary":
                return start_canary(state, "m", DIGESTS[index], Canary(share_ppm=1), closure=closure, by="ann")
            case "end canary":
                return end_canary(state, "m", by="ann")
            case _:
                return withdraw_absent(state, present=(), unread=())
    except WardwrightError:
        return ()


@given(commands)
def test_whatever_was_asked_the_chain_tells_one_story(asked: list[tuple[str, int]]) -> None:
    chain: list[tuple[int, Fact]] = []
    state = Activations()
    held: str | None = None
    for command, index in asked:
        facts = decided(state, command, index)
        new = [(len(chain) + offset, fact) for offset, fact in enumerate(facts)]
        state = folded(new, state)
        chain.extend(new)
        if command == "file":
            held = DIGESTS[index]
        if command == "delete":
            held = None

        assert folded(chain) == state
        history = state.models.get("m")
        if history is None:
            continue
        stored = {version.digest for version in history.versions}
        assert history.proposed == held
        for serving in (history.active, history.canary):
            assert serving is None or serving.digest in stored
        assert history.canary is None or history.active is not None
        assert history.active is None or history.trail[-1] == history.active.digest
        if held is not None:
            restart = propose(state, VERSIONS[DIGESTS.index(held)], source="m.yaml", closure=str)
            assert restart == (), "a restart with the same file changes nothing"


@given(commands)
def test_a_draft_never_serves_before_someone_activates_it(asked: list[tuple[str, int]]) -> None:
    state = Activations()
    activated: set[str] = set()
    for command, index in asked:
        facts = decided(state, command, index)
        activated |= {fact.digest for fact in facts if isinstance(fact, ContractActivated)}
        state = folded(((0, fact) for fact in facts), state)
        history = state.models.get("m")
        if history is not None:
            for version in history.versions:
                assert (history.status(version) == "draft") is (version.digest not in activated)
