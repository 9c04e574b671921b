"""What the rules of the receipt phase read of a call that is over."""

from __future__ import annotations

from wardwright.calls.receipt import Receipt
from wardwright.policy.phases import Fact


def receipt_facts(receipt: Receipt) -> dict[str, Fact]:
    """The fields of the phase beyond those of the request."""
    timings, usage = receipt.timings, receipt.usage
    first_byte_us = timings.first_byte_us
    return {
        "receipt.status": receipt.status,
        "receipt.error": receipt.error,
        "receipt.attempts": len(receipt.attempts),
        "receipt.fallback": receipt.selected is not None and receipt.selected.fallback,
        "receipt.cost_nano_usd": receipt.cost_nano_usd,
        "receipt.total_ms": timings.total_us // 1000,
        "receipt.first_byte_ms": None if first_byte_us is None else first_byte_us // 1000,
        "receipt.finish": receipt.attempts[-1].finish if receipt.attempts else (),
        "usage.input_tokens": usage.input_total,
        "usage.output_tokens": usage.output_total,
    }
