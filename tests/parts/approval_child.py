"""A gateway in a process of its own whose approvals are asked for, given and used, to be killed at any point.

`python -m parts.approval_child STATE ask` asks for an approval, gives it and says its id; `… redeem ID` uses one and
says `redeemed`, or the code of the refusal. Then it waits until its standard input closes.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from wardwright.kernel.errors import WardwrightError
from wardwright.runtime.approvals import ApprovalDesk
from wardwright.runtime.settings import Settings
from wardwright.runtime.wiring import Runtime


async def main(state: Path, verb: str, id_: str) -> None:
    runtime = Runtime([], state, Settings(), environment={})
    await runtime.open()
    try:
        said = await (_asked(runtime.approvals) if verb == "ask" else _redeemed(runtime.approvals, id_))
        print(said, flush=True)
        await asyncio.to_thread(sys.stdin.read)
    finally:
        await runtime.aclose()


async def _asked(desk: ApprovalDesk) -> str:
    approval = desk.ask(
        digest="hmac:1",
        expires_s=3600,
        message="Spends money.",
        model="coding",
        policy="desk-rules",
        receipt="rcp_1",
        rule="costly",
        tenant="acme",
    )
    if approval.decided is None:
        await desk.approve(approval.id, by="ada")
    return approval.id


async def _redeemed(desk: ApprovalDesk, id_: str) -> str:
    told: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    try:
        desk.redeem(
            id_,
            digest="hmac:1",
            on_durable=told.set_result,
            policy="desk-rules",
            receipt="rcp_2",
            rule="costly",
            tenant="acme",
        )
    except WardwrightError as refused:
        return refused.code
    return "redeemed" if await told is None else "unwritten"


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""))
