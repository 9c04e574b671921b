"""Governed routes with real parts: the official client for Node, and a real llama.cpp server under fifty rules."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Final

from parts import contracts, node_client
from parts.contracts import chat, scripted
from parts.gateway_thread import Document, running
from parts.governed_client import policy, rule, sdk
from parts.llama_server import MODEL, LlamaServer
from wardwright.contracts.decode import decode
from wardwright.contracts.policy import PolicyContract

RULES_50: Final = Path(__file__).parents[2] / "benchmarks" / "rules-50.yaml"
STREAMS: Final = 24
TOKENS: Final = 64
REMIND: Document = {"retry_with_reminder": {"text": "Use NewClient."}}
BLOCK: Document = {"block": {"code": "no_old_client", "message": "The class was removed."}}


def test_the_official_client_for_node_sees_clean_answers_and_errors_it_does_not_retry(tmp_path: Path) -> None:
    slip: Document = {"chunks": ["Then Old", "Client(token)", " and more"], "chunk_delay_ms": 20}
    clean: Document = {"text": "Then NewClient(token)"}
    documents = [
        scripted("s", slip, clean, slip, clean),
        scripted("t", slip),
        contracts.model("retried", "s", policies=["reminds"]),
        contracts.model("blocked", "t", policies=["blocks"]),
        contracts.model("late", "t", policies=["blocks-late"]),
        policy(rule(r"OldClient\(", REMIND), name="reminds"),
        policy(rule(r"OldClient\(", BLOCK, hold={"mode": "full"}), name="blocks"),
        policy(rule(r"OldClient\(", BLOCK), name="blocks-late"),
    ]
    with running(tmp_path, documents) as gateway:
        report = node_client.run_governed(gateway.base_url, "none", "retried", "blocked", "late")
        receipts = [ended.receipt for ended in gateway.ended(6)]
    for seen in (report.retried.whole, report.retried.streamed):
        assert (seen.text, seen.finish_reason, seen.error) == ("Then NewClient(token)", "stop", None)
    for refused in (report.blocked.whole, report.blocked.streamed, report.late.whole):
        assert (refused.text, refused.finish_reason) == ("", None)
        assert refused.error is not None
        assert (refused.error.class_, refused.error.status) == ("PermissionDeniedError", 403)
        assert refused.error.code == "no_old_client"
    late = report.late.streamed
    assert (late.text, late.finish_reason) == ("Then ", None)
    assert late.error is not None
    assert (late.error.class_, late.error.code) == ("APIError", "no_old_client")
    assert [one.status for one in receipts] == ["completed"] * 2 + ["blocked"] * 4, "no call was made twice"
    assert [len(one.attempts) for one in receipts] == [2, 2, 1, 1, 1, 1]


def test_a_real_server_under_load_and_fifty_rules_answers_every_stream_whole(
    llama: LlamaServer, tmp_path: Path
) -> None:
    """Fifty-one rules: the last fires on the model's own vocabulary, so that text is held and edited under load."""
    (fifty,) = decode(RULES_50.read_bytes(), RULES_50.name)
    assert isinstance(fifty.value, PolicyContract)
    documents = [
        contracts.provider("llama", llama.base_url),
        contracts.model("bare", "llama") | {"targets": [_target()]},
        contracts.model("governed", "llama", policies=["rules-50", "extra"]) | {"targets": [_target()]},
        policy(rule("[0-9]", {"rewrite": {"replacement": "__"}}), name="extra"),
    ]
    folder = tmp_path / "contracts"
    folder.mkdir()
    (folder / "rules-50.yaml").write_bytes(RULES_50.read_bytes())
    texts: dict[tuple[str, int], tuple[str, str | None, str]] = {}

    with running(tmp_path, documents) as gateway:

        def ask(name: str, number: int) -> None:
            said, finish, id_ = "", None, ""
            asked = chat(name, max_tokens=TOKENS, temperature=0, seed=1)
            asked["messages"] = [{"role": "user", "content": f"Stream {number}"}]
            with sdk(gateway).with_options(timeout=60) as caller:
                for chunk in caller.chat.completions.create(**asked, stream=True):
                    id_ = chunk.id
                    for choice in chunk.choices:
                        said += choice.delta.content or ""
                        finish = choice.finish_reason or finish
            texts[name, number] = said, finish, id_.removeprefix("chatcmpl-")

        threads = [
            threading.Thread(target=ask, args=(name, number))
            for number in range(STREAMS)
            for name in ("bare", "governed")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
            assert not thread.is_alive(), "something is held for ever"
        receipts = {ended.receipt.receipt: ended.receipt for ended in gateway.ended(2 * STREAMS)}
        assert gateway.on_loop(lambda: len(gateway.runtime.gateway.live)) == 0
    assert {finish for _, finish, _ in texts.values()} == {"length"}
    edited = 0
    for number in range(STREAMS):
        bare, governed = texts["bare", number], texts["governed", number]
        receipt = receipts[governed[2]]
        assert receipt.status == "completed"
        assert receipt.usage.output_total == receipts[bare[2]].usage.output_total == TOKENS
        assert receipt.client.text_chars == len(governed[0])
        edits = [one for ruling in receipt.policy for one in ruling.caught if one.action == "rewrite"]
        more = sum(ruling.caught_more for ruling in receipt.policy)
        assert governed[0] == re.sub("[0-9]", "__", bare[0]), "what the rules allow on the whole text"
        edited += len(edits) + more
        assert [ruling.phase for ruling in receipt.policy].count("stream") == 1
        assert len(receipt.attempts) == 1
        assert receipt.attempts[0].failure is None
    assert edited > STREAMS, "rules did fire under load"
    assert llama.running_requests() == 0


def _target() -> Document:
    return {"name": "llama", "provider": "llama", "model": MODEL, "context_window": 8192}
