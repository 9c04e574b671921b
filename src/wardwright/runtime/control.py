"""The control plane: contract files in, activations and keys in the control chain, a catalog out.

Rule 1: what serves follows from the control chain and the stored contracts alone; files merely propose. So a restart
serves what served before, also where a file was changed for the worse meanwhile.
Rule 2: a contract's bytes lie in the store before the fact that names them is written.
Rule 3: a change that cannot be compiled is refused whole; the catalog that serves stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from wardwright.contracts import activation
from wardwright.contracts.activation import Activations, Fact, History
from wardwright.contracts.check import check
from wardwright.contracts.decode import Located
from wardwright.contracts.digest import (
    Closure,
    Contract,
    canonical,
    closure,
    digest,
    restored,
)
from wardwright.contracts.model import Canary, ModelContract, goes_by_learning
from wardwright.contracts.provider import Provider
from wardwright.contracts.refusal import did_you_mean
from wardwright.gateway.catalog import Catalog, LoadTokenizer, Served, Version, compile_version
from wardwright.gateway.core import keys
from wardwright.gateway.core.keys import Key
from wardwright.gateway.service import Gateway
from wardwright.journal.entry import Entry, Record, Writer
from wardwright.journal.store import Blobs
from wardwright.kernel import canonical as canonical_json
from wardwright.kernel.errors import WardwrightError
from wardwright.kernel.ids import LUCK_BITS, Clock, Luck, mint
from wardwright.runtime.library import Library
from wardwright.runtime.policies import Policies
from wardwright.runtime.upstreams import Upstreams

ANSWER_S: Final = 30.0
"""How long a change of the control plane may wait for the journal."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How the last reload went."""

    at: int
    """µs since the epoch."""
    errors: tuple[WardwrightError, ...] = ()
    warnings: tuple[WardwrightError, ...] = ()


class Control:
    """Everything that changes what is served. Belongs to the event loop's thread."""

    def __init__(
        self,
        *,
        build: str,
        clock: Clock,
        gateway: Gateway,
        luck: Luck,
        secret_luck: Luck,
        sinks: frozenset[str] | None,
        store: Blobs,
        load_tokenizer: LoadTokenizer,
        remember: Callable[[], Awaitable[None]] | None = None,
        upstreams: Upstreams,
        writer: Writer,
    ) -> None:
        """`remember` is awaited before anything serves that rests on earlier calls; None: nobody calls here."""
        self.activations = Activations()
        self.state = State(at=0)
        self._build = build
        self._clock = clock
        self._contracts: dict[str, ModelContract] = {}
        """Stored contracts by digest, as far as they were needed."""
        self._gateway = gateway
        self._luck = luck
        self._secret_luck = secret_luck
        self._store = store
        self._load_tokenizer = load_tokenizer
        self._policies = Policies(store, sinks)
        self._remember = remember
        self._upstreams = upstreams
        self._writer = writer

    # -- start and reload ----------------------------------------------------------------------------------------------

    def restore(self, records: Iterable[Record]) -> bool:
        """Take up where the control chains end, or what came to them since; whether it says what serves."""
        facts: list[tuple[int, Fact]] = []
        for record in records:
            fact_type = activation.KINDS.get(record.kind)
            if fact_type is not None:
                facts.append((record.at, msgspec.json.decode(record.data, type=fact_type)))
            elif record.kind == keys.CREATED:
                self._gateway.keys.add(msgspec.json.decode(record.data, type=Key))
            elif record.kind == keys.REVOKED:
                self._gateway.keys.revoke(msgspec.json.decode(record.data, type=keys.Revocation).id, record.at)
        if facts:
            self.activations = activation.folded(facts, self.activations)
            self._policies.restore(self.activations.policies)
        return bool(facts)

    @property
    def remembers(self) -> bool:
        """Some policy reads a past, or counts budgets."""
        return self._policies.remember

    @property
    def learns(self) -> bool:
        """Some active model has a cascade in the order of what was learned."""
        return any(goes_by_learning(model.route) for model in self._active_models(self.activations).values())

    async def resume(self) -> State:
        """Serve what is active, whatever files hold. Raises what `remember` raises."""
        failures = await self._upstreams.keep(self._stored_providers())
        errors = [_cannot_run(name, error, None) for name, error in failures.items()]
        self.state = State(at=self._clock.now_us(), errors=(*errors, *await self._brought_up()))
        return self.state

    async def reload(self, library: Library, *, by: str = "file") -> State:
        """Propose what the files hold, then serve what is active. What was refused stays out and is told."""
        library = await self._with_providers(library)
        errors = list(library.errors)
        proposed = {name: one.value for name, one in library.models.items()}
        policies, refused = self._policies.take(library, self._active_models(self.activations) | proposed)
        errors.extend(_untold(refused, errors))
        found: list[tuple[str, Contract]] = [
            *((one.file, one.value) for one in library.providers.values()),
            *((one.file, one.value) for one in policies),
            *((one.file, one.value) for one in library.models.values()),
        ]
        for file, contract in found:
            self._keep(contract)
            closure_of = self._closure_of(contract.name, proposed)
            self._write(activation.propose(self.activations, contract, source=file, closure=closure_of, by=by), by)
        self._write(
            activation.withdraw_absent(
                self.activations, present=frozenset(library.models), unread=library.unread, by=by
            ),
            by,
        )
        errors.extend(_untold(await self._brought_up(), errors))
        self.state = State(at=self._clock.now_us(), errors=tuple(errors), warnings=library.warnings)
        return self.state

    async def _brought_up(self) -> list[WardwrightError]:
        """Serve what is active, once what its policies look back on is there."""
        self._gateway.history.declare(self._policies.past)
        if self._remember is not None and (self.remembers or self.learns):
            await self._remember()
        return self._serve()

    async def _with_providers(self, library: Library) -> Library:
        """Run the providers; what is left of the library is what can be proposed over them.

        A provider that cannot be built stays as it ran, or as it was stored last, and so does one whose file may be
        among those refused. A model that needs one which never ran waits for it.
        """
        wanted = {name: one.value for name, one in library.providers.items()}
        if library.unread:
            wanted = self._stored_providers() | wanted
        failures = await self._upstreams.keep(wanted)
        if not failures:
            return library
        missing = failures.keys() - self._upstreams.by_name.keys()
        stored = {name: one for name, one in self._stored_providers().items() if name in missing}
        if stored:
            await self._upstreams.keep(self._providers() | stored)
        running = {name: one for name, one in library.providers.items() if name in self._upstreams.by_name}
        waiting = (
            check(library.models, running, library.policies, complete=not library.unread).refused
            & library.models.keys()
        )
        told = [_cannot_run(name, error, library.providers.get(name)) for name, error in failures.items()]
        told += [_waits(library.models[name]) for name in sorted(waiting)]
        return msgspec.structs.replace(
            library,
            errors=(*library.errors, *told),
            models={name: one for name, one in library.models.items() if name not in waiting},
            providers={name: one for name, one in running.items() if name not in failures},
            unread=library.unread | {library.models[name].file for name in waiting},
        )

    def _stored_providers(self) -> dict[str, Provider]:
        """Every provider as its document was last stored."""
        found: dict[str, Provider] = {}
        for name, key in self.activations.providers.items():
            data = self._store.get(key)
            value = None if data is None else restored(data)
            if isinstance(value, Provider):
                found[name] = value
        return found

    # -- versions ------------------------------------------------------------------------------------------------------

    async def activate(self, name: str, version: str, *, by: str) -> tuple[Fact, ...]:
        return await self._change(
            activation.activate(self.activations, name, version, closure=self._closure_of(name), by=by), by
        )

    async def rollback(self, name: str, to: str | None, *, by: str) -> tuple[Fact, ...]:
        return await self._change(
            activation.rollback(self.activations, name, closure=self._closure_of(name), by=by, to=to), by
        )

    async def start_canary(self, name: str, version: str, rule: Canary, *, by: str) -> tuple[Fact, ...]:
        return await self._change(
            activation.start_canary(self.activations, name, version, rule, closure=self._closure_of(name), by=by), by
        )

    async def end_canary(self, name: str, *, by: str) -> tuple[Fact, ...]:
        return await self._change(activation.end_canary(self.activations, name, by=by), by)

    async def adopt(self, contract: ModelContract, *, source: str, by: str) -> tuple[Fact, ...]:
        """Store an imported contract as a draft."""
        self._keep(contract)
        return await self._change(activation.adopt(self.activations, contract, source=source, by=by), by)

    def history(self, name: str) -> History:
        """Raises `contract_not_found`."""
        history = self.activations.models.get(name)
        if history is None:
            hint = did_you_mean(name, self.activations.models)
            raise WardwrightError("contract_not_found", f"no model contract is called `{name}`", hint=hint)
        return history

    def contract(self, name: str, version: str | None) -> tuple[str, ModelContract]:
        """A stored version, the active one where none is named, with its digest. Raises `contract_not_found`."""
        if version is not None:
            found = activation.find(self.activations, name, version).digest
        else:
            active = self.history(name).active
            if active is None:
                raise WardwrightError("contract_not_found", f"`{name}` has no active version")
            found = active.digest
        return found, self._contract(found)

    # -- keys ----------------------------------------------------------------------------------------------------------

    async def create_key(self, key: Key, *, by: str) -> tuple[Key, str]:
        """Make a key of the given terms; returns it as it was stored, and its token, which is shown this once."""
        token = keys.token_of(self._secret_luck.bits(keys.TOKEN_LUCK_BITS))
        now = self._clock.now_us()
        made = msgspec.structs.replace(
            key,
            created_at=now,
            hash=keys.hash_of(token.encode()),
            id=mint("key", now, self._luck.bits(LUCK_BITS)),
        )
        await durably(self._writer, (Entry(keys.CREATED, made, at=now, chain="control", actor=by),))
        self._gateway.keys.add(made)
        return made, token

    async def revoke_key(self, id_: str, *, by: str) -> None:
        """Raises `key_not_found`."""
        now = self._clock.now_us()
        self._gateway.keys.revoke(id_, now)
        entry = Entry(keys.REVOKED, keys.Revocation(id=id_), at=now, chain="control", actor=by)
        await durably(self._writer, (entry,))

    # -- inside --------------------------------------------------------------------------------------------------------

    async def _change(self, facts: tuple[Fact, ...], by: str) -> tuple[Fact, ...]:
        """Write facts that somebody asked for, wait until they last, then serve by them."""
        if facts:
            trial = activation.folded(((self._clock.now_us(), fact) for fact in facts), self.activations)
            refused = self._compile(trial)[1]
            named = {fact.name for fact in facts}
            for name, error in refused:
                if name in named:
                    raise error
            await durably(self._writer, self._entries(facts, by))
            self._fold(facts)
            self._serve()
        return facts

    def _write(self, facts: tuple[Fact, ...], by: str) -> None:
        for entry in self._entries(facts, by):
            self._writer.put(entry)
        self._fold(facts)

    def _entries(self, facts: tuple[Fact, ...], by: str) -> tuple[Entry, ...]:
        now = self._clock.now_us()
        return tuple(Entry(activation.kind_of(fact), fact, at=now, chain="control", actor=by) for fact in facts)

    def _fold(self, facts: tuple[Fact, ...]) -> None:
        now = self._clock.now_us()
        self.activations = activation.folded(((now, fact) for fact in facts), self.activations)

    def _keep(self, contract: Contract) -> None:
        key = digest(contract)
        if isinstance(contract, ModelContract):
            if key in self._contracts:
                return
            self._contracts[key] = contract
        self._store.put(canonical(contract))

    def _contract(self, key: str) -> ModelContract:
        contract = self._contracts.get(key)
        if contract is None:
            data = self._store.get(key)
            stored = None if data is None else restored(data)
            if not isinstance(stored, ModelContract):
                raise WardwrightError("contract_not_found", f"the stored contract {key} is missing")
            contract = self._contracts[key] = stored
        return contract

    def _active_models(self, state: Activations) -> dict[str, ModelContract]:
        return {
            name: self._contract(history.active.digest)
            for name, history in state.models.items()
            if history.active is not None
        }

    def _providers(self) -> dict[str, Provider]:
        return {name: upstream.provider for name, upstream in self._upstreams.by_name.items()}

    def _closure_of(self, name: str, proposed: Mapping[str, ModelContract] | None = None) -> activation.ClosureOf:
        """What a version of a name would serve with: the active versions of the others, or those being proposed."""

        def closure_of(key: str) -> str:
            models = self._active_models(self.activations) | dict(proposed or {}) | {name: self._contract(key)}
            return self._kept_closure(self._closure(name, models))

        return closure_of

    def _closure(self, name: str, models: Mapping[str, ModelContract]) -> Closure:
        return closure(name, models, self._providers(), self._build, self._policies.contracts)

    def _kept_closure(self, value: Closure) -> str:
        return self._store.put(canonical_json.encode(value))

    def _serve(self) -> list[WardwrightError]:
        served, refused = self._compile(self.activations)
        catalog = Catalog(served)
        self._gateway.health.keep(
            (endpoint, self._upstreams.by_name[endpoint[0]].provider.breaker)
            for endpoint in catalog.endpoints()
            if endpoint[0] in self._upstreams.by_name
        )
        self._gateway.catalog = catalog
        return [error for _, error in refused]

    def _compile(self, state: Activations) -> tuple[dict[str, Served], list[tuple[str, WardwrightError]]]:
        """Every name that can serve, and why the others cannot. One that served before goes on as it was."""
        models = self._active_models(state)
        served: dict[str, Served] = {}
        refused: list[tuple[str, WardwrightError]] = []
        for name, history in state.models.items():
            if history.active is None:
                continue
            try:
                active = self._version(name, history.active.digest, models)
                canary = None
                if history.canary is not None and history.canary.canary is not None:
                    canary = (history.canary.canary, self._version(name, history.canary.digest, models))
                served[name] = Served(active=active, canary=canary)
            except WardwrightError as error:
                refused.append((name, error))
                before = self._gateway.catalog.find(name)
                if before is not None:
                    served[name] = before
        return served, refused

    def _version(self, name: str, key: str, models: Mapping[str, ModelContract]) -> Version:
        contract = self._contract(key)
        taking_part = {**models, name: contract}
        return compile_version(
            contract,
            closure=self._kept_closure(self._closure(name, taking_part)),
            digest=key,
            govern=self._policies.govern,
            models=taking_part,
            upstreams=self._upstreams.by_name,
            load_tokenizer=self._load_tokenizer,
        )


def _untold(found: Iterable[WardwrightError], told: Iterable[WardwrightError]) -> list[WardwrightError]:
    """Those that were not told by whoever looked before, and knew the place better."""
    known = {(one.code, one.message) for one in told}
    return [one for one in found if (one.code, one.message) not in known]


def _cannot_run(name: str, error: WardwrightError, provider: Located[Provider] | None) -> WardwrightError:
    place = error.place or (None if provider is None else provider.place())
    return WardwrightError(
        error.code, f"the provider `{name}` cannot run: {error.message}", place=place, hint=error.hint
    )


def _waits(model: Located[ModelContract]) -> WardwrightError:
    return WardwrightError(
        "contract_reference",
        f"`{model.value.name}` stays as it was: a provider on its route cannot run",
        place=model.place(),
    )


async def durably(writer: Writer, entries: Sequence[Entry]) -> None:
    """Put the entries and wait until the last of them lies on disk. Raises `journal_write`."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def durable(failure: Exception | None) -> None:
        if done.done():
            return
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)

    entries[-1].on_durable = durable
    for entry in entries:
        writer.put(entry)
    try:
        await asyncio.wait_for(done, ANSWER_S)
    except TimeoutError:
        raise WardwrightError("journal_write", "the journal did not take the change in time") from None
