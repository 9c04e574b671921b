"""What every name means now: the activated versions of all contracts, compiled for serving.

Rule 1: a catalog is a value. A reload makes a new one and swaps it in; a call keeps the version it started with.
Rule 2: everything about a version that is the same for every call is worked out here, once.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import msgspec

from wardwright.calls import receipt as rc
from wardwright.calls.attempt import Terms
from wardwright.calls.governance import Governance
from wardwright.contracts.digest import digest as digest_of
from wardwright.contracts.digest import governing, reach
from wardwright.contracts.model import Canary, ModelContract, Price, Target, Transforms
from wardwright.contracts.pricing import unpriced
from wardwright.contracts.provider import Provider
from wardwright.dialects.exchange import Transport
from wardwright.dialects.voice import Voice
from wardwright.gateway.health import Endpoint
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.usage import NANO_USD, Rates
from wardwright.routing.fit import ppm
from wardwright.routing.graph import Route, resolve
from wardwright.routing.plan import Plan, SkipReason
from wardwright.routing.tokens import TokenCounter

PREFIX: Final = "wardwright/"
"""Each model is served as `<name>` and `wardwright/<name>`."""


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """One configured provider, ready to be called."""

    double: bool
    provider: Provider
    transport: Transport
    voice: Voice


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """Everything an attempt at one target needs."""

    endpoint: Endpoint
    target: Target
    terms: Terms
    transport: Transport


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One activated version of a contract."""

    aims: dict[tuple[str, str], Aim]
    """By (contract, target): an alias leads to targets of other contracts."""
    closure: str
    contract: ModelContract
    digest: str
    governance: Governance | None
    """The policies over this model and over those its aliases lead to; None: there are none."""
    node_type: str
    route: Route
    stamp: rc.Contract
    """What receipts say of this version, outside experiments."""
    switches: dict[str, Version] = {}
    """Where rules may switch a call to: by name, each under the rules of both models."""
    tokenizer: TokenCounter | None
    transforms: bool
    """The contract puts text around the caller's messages."""

    whole_terms: tuple[Terms, ...]
    """The terms of `route.whole`."""

    def terms(self, plan: Plan) -> tuple[Terms, ...]:
        """Beside the attempts of a plan, what is fixed about their targets."""
        return self.whole_terms if plan is self.route.whole else terms_of(plan, self.aims)

    def resting(self, rests: Mapping[Endpoint, SkipReason]) -> tuple[tuple[str, SkipReason], ...]:
        """Which of this version's targets rest, in the form that facts take."""
        return tuple(
            sorted(
                (f"{contract}/{target}", rests[aim.endpoint])
                for (contract, target), aim in self.aims.items()
                if aim.endpoint in rests
            )
        )


def terms_of(plan: Plan, aims: Mapping[tuple[str, str], Aim]) -> tuple[Terms, ...]:
    """Beside the attempts of a plan, what is fixed about their targets."""
    return tuple(aims[attempt.contract, attempt.target].terms for attempt in plan.attempts)


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What one name serves: the active version and, during a canary, the one beside it."""

    active: Version
    canary: tuple[Canary, Version] | None = None


class Catalog:
    """All names that are served."""

    def __init__(self, served: Mapping[str, Served]) -> None:
        self._by_name = dict(served)
        self._names = {name: name for name in served} | {PREFIX + name: name for name in served}

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, asked: str) -> Served | None:
        """By the name asked for, with or without the prefix."""
        served = self._by_name.get(asked)
        if served is None and asked.startswith(PREFIX):
            served = self._by_name.get(asked[len(PREFIX) :])
        return served

    def names(self) -> tuple[str, ...]:
        """Flat names, sorted."""
        return tuple(sorted(self._by_name))

    def items(self) -> tuple[tuple[str, Served], ...]:
        return tuple((name, self._by_name[name]) for name in self.names())

    def suggest(self, asked: str) -> str | None:
        """The served name that looks most like what was asked for."""
        close = difflib.get_close_matches(asked.removeprefix(PREFIX), self._by_name, n=1)
        return close[0] if close else None

    def endpoints(self) -> dict[Endpoint, Aim]:
        """Every endpoint that some version may call."""
        found: dict[Endpoint, Aim] = {}
        for served in self._by_name.values():
            versions = [served.active] if served.canary is None else [served.active, served.canary[1]]
            for version in versions:
                for aim in version.aims.values():
                    found[aim.endpoint] = aim
        return found


LoadTokenizer: TypeAlias = Callable[[str], TokenCounter]
"""From the path that a contract names to its tokenizer. Raises WardwrightError."""


Govern: TypeAlias = Callable[[tuple[str, ...]], Governance | None]
"""What policies of these names amount to. Raises WardwrightError."""


def compile_version(
    contract: ModelContract,
    *,
    closure: str,
    digest: str,
    govern: Govern,
    models: Mapping[str, ModelContract],
    upstreams: Mapping[str, Upstream],
    load_tokenizer: LoadTokenizer,
) -> Version:
    """A contract ready to serve. Raises WardwrightError where it names what does not exist, or cannot be enforced."""
    names = governing(reach(contract.name, models), models)
    governance = govern(names)
    documents = {} if governance is None else dict(governance.documents)
    switches: dict[str, Version] = {}
    for other in () if governance is None else governance.switches:
        if other not in models:
            raise WardwrightError(
                "contract_reference",
                f"a rule over `{contract.name}` switches to the model `{other}`, which is not served",
            )
        both = tuple(sorted({*names, *governing(reach(other, models), models)}))
        beyond = govern(both)
        documents.update({} if beyond is None else beyond.documents)
        switched = _compiled(
            models[other], closure, digest_of(models[other]), beyond, models, upstreams, load_tokenizer
        )
        stamp = msgspec.structs.replace(switched.stamp, switched_from=contract.name)
        switches[other] = msgspec.structs.replace(switched, stamp=stamp)
    for one in sorted(unpriced(contract.name, models, documents)):
        raise one.refusal(None)
    version = _compiled(contract, closure, digest, governance, models, upstreams, load_tokenizer)
    return msgspec.structs.replace(version, switches=switches) if switches else version


def _compiled(
    contract: ModelContract,
    closure: str,
    digest: str,
    governance: Governance | None,
    models: Mapping[str, ModelContract],
    upstreams: Mapping[str, Upstream],
    load_tokenizer: LoadTokenizer,
) -> Version:
    route = resolve(contract.name, models)
    aims: dict[tuple[str, str], Aim] = {}
    for candidate in route.candidates:
        target = candidate.target
        upstream = upstreams.get(target.provider)
        if upstream is None:
            raise WardwrightError(
                "contract_reference",
                f"the target `{target.name}` of `{candidate.contract}` names the provider `{target.provider}`, which "
                "is not configured",
            )
        aims[candidate.contract, target.name] = Aim(
            endpoint=(target.provider, target.model),
            target=target,
            terms=Terms(
                continues=upstream.provider.continues_answers != "never",
                double=upstream.double,
                drain=upstream.provider.on_client_left == "drain",
                mark=f"{candidate.contract}/{target.name}={target.model}",
                rates=None if target.price is None else rates_of(target.price),
                selected=rc.Selected(
                    context_window=target.context_window,
                    contract=candidate.contract,
                    model=target.model,
                    provider=target.provider,
                    target=target.name,
                ),
                voice=upstream.voice,
            ),
            transport=upstream.transport,
        )
    paths = [target.tokens.tokenizer for target in contract.targets if target.tokens.tokenizer is not None]
    return Version(
        aims=aims,
        closure=closure,
        contract=contract,
        digest=digest,
        governance=governance,
        node_type=type(contract.route).__struct_config__.tag,  # type: ignore[arg-type]
        route=route,
        stamp=rc.Contract(
            closure=closure,
            digest=digest,
            name=contract.name,
            policies=() if governance is None else governance.policy.names,
            version=contract.version,
        ),
        tokenizer=load_tokenizer(paths[0]) if paths else None,
        transforms=contract.transforms != Transforms(),
        whole_terms=() if route.whole is None else terms_of(route.whole, aims),
    )


def rates_of(price: Price) -> Rates:
    """Prices as nano-USD per million tokens; classes without a price of their own take that of their kind."""

    def nano(usd: str) -> int:
        return ppm(usd) * (NANO_USD // 1_000_000)

    return Rates(
        cache_write=nano(price.cache_write or price.input),
        cached_input=nano(price.cached_input or price.input),
        input=nano(price.input),
        output=nano(price.output),
        reasoning=nano(price.reasoning or price.output),
    )
