"""The one error type, and the closed table of its codes.

Rule 1: every failure a user can meet has a row in CODES; a code that is not there cannot be raised.
Rule 2: a row says whose fault it is, so that each front door can choose its status without reading the message.
Rule 3: messages carry no secret and, on their way to a caller, no target, pattern or private address.

Three coats are cut from one value: the CLI's text, an RFC 9457 problem on `/api` and `/admin`, and OpenAI's envelope
on `/v1`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Fault(StrEnum):
    """Whose fault a failure is."""

    CALLER = "caller"
    POLICY = "policy"
    UPSTREAM = "upstream"
    US = "us"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a failure lies: in a file, in a request body, or both."""

    file: str | None = None
    line: int | None = None
    """1-based."""
    column: int | None = None
    """1-based, in characters."""
    path: str | None = None
    """A dotted path inside the document, such as `route.cascade.members[1]`."""

    def __str__(self) -> str:
        if self.file is None:
            if self.line is None:
                return self.path or ""
            return f"line {self.line}" if self.column is None else f"line {self.line}, column {self.column}"
        spot = self.file if self.line is None else f"{self.file}:{self.line}"
        spot = spot if self.line is None or self.column is None else f"{spot}:{self.column}"
        return spot if self.path is None else f"{spot} ({self.path})"


class Code(msgspec.Struct, frozen=True):
    """What is fixed about one kind of failure."""

    fault: Fault
    status: int
    """The HTTP status under which callers see it."""
    type: str
    """OpenAI's error family: what their SDKs switch on."""
    means: str
    """One line for the reference page."""


class Said(msgspec.Struct, frozen=True):
    """What the author of a rule calls a refusal."""

    code: str
    """The author's own code: callers see it in the place of ours."""
    rule: str
    """`policy/rule`."""


_CALLER, _POLICY, _UPSTREAM, _US = Fault.CALLER, Fault.POLICY, Fault.UPSTREAM, Fault.US
_INVALID, _AUTH, _PERMISSION = "invalid_request_error", "authentication_error", "permission_error"
_RATE, _SERVER = "rate_limit_error", "server_error"

CODES: Final[dict[str, Code]] = {
    # requests
    "invalid_json": Code(_CALLER, 400, _INVALID, "the body is not JSON, or holds what JSON forbids"),
    "invalid_request": Code(_CALLER, 400, _INVALID, "a member of the body is missing or has the wrong type"),
    "invalid_header": Code(_CALLER, 400, _INVALID, "a request header cannot be read"),
    "json_too_deep": Code(_CALLER, 400, _INVALID, "the body nests deeper than `json_depth_max`"),
    "body_too_large": Code(_CALLER, 413, _INVALID, "the body is larger than `body_bytes_max`"),
    "headers_too_large": Code(_CALLER, 431, _INVALID, "the head of the request is larger than `head_bytes_max`"),
    "request_timeout": Code(_CALLER, 408, _INVALID, "the request did not arrive within its deadline"),
    "method_not_allowed": Code(_CALLER, 405, _INVALID, "this path does not take that method"),
    "not_found": Code(_CALLER, 404, _INVALID, "nothing lives at this path"),
    "model_not_found": Code(_CALLER, 404, _INVALID, "no contract serves this model name"),
    "receipt_not_found": Code(_CALLER, 404, _INVALID, "no receipt with this id is yours to read"),
    "capture_not_found": Code(_CALLER, 404, _INVALID, "the bodies of this call were not kept, or are gone"),
    "context_length_exceeded": Code(_CALLER, 400, _INVALID, "no target of the route holds the request"),
    "unsupported_capability": Code(_CALLER, 400, _INVALID, "no target of the route can do what the request asks"),
    "too_many_hops": Code(_CALLER, 508, _INVALID, "the request passed through more gateways than `hops_max`"),
    "client_closed_request": Code(_CALLER, 499, _INVALID, "the client left before the answer was complete"),
    # identity
    "missing_api_key": Code(_CALLER, 401, _AUTH, "this gateway wants a key, and none was sent"),
    "invalid_api_key": Code(_CALLER, 401, _AUTH, "the key is unknown, expired or revoked"),
    "model_not_allowed": Code(_CALLER, 403, _PERMISSION, "the key may not use this model"),
    "scope_missing": Code(_CALLER, 403, _PERMISSION, "the key lacks the scope that this needs"),
    "admin_required": Code(_CALLER, 401, _AUTH, "this path takes the admin credential alone"),
    "host_not_allowed": Code(_CALLER, 403, _PERMISSION, "keyless access answers only to its own host names"),
    "origin_not_allowed": Code(_CALLER, 403, _PERMISSION, "keyless access refuses calls from foreign web pages"),
    # policy
    "policy_blocked": Code(_POLICY, 403, _PERMISSION, "a rule refuses the request or the answer"),
    "policy_indeterminate": Code(_POLICY, 403, _PERMISSION, "a rule could not be told, and fails closed"),
    "route_refused": Code(_POLICY, 403, _PERMISSION, "the contract's guards or constraints leave no target"),
    "approval_required": Code(_POLICY, 403, _PERMISSION, "a person must approve this request before it runs"),
    "approval_denied": Code(_POLICY, 403, _PERMISSION, "a person denied this request"),
    "approval_expired": Code(_POLICY, 403, _PERMISSION, "the approval ran out before the request came again"),
    "approval_spent": Code(_POLICY, 403, _PERMISSION, "the approval was for one run, and that has been had"),
    "approval_mismatch": Code(_POLICY, 403, _PERMISSION, "the approval is for another request or another rule"),
    "approval_not_found": Code(_CALLER, 404, _INVALID, "no approval with this id is yours to use"),
    "approval_settled": Code(_CALLER, 409, _INVALID, "the approval was decided, used or expired already"),
    "approvals_full": Code(_POLICY, 429, _RATE, "too many requests of this tenant wait for approval"),
    "alert_sink_full": Code(_POLICY, 429, _RATE, "a rule must alert somebody, and the sink takes no more alerts"),
    "budget_exceeded": Code(_POLICY, 429, _RATE, "the call could pass a budget; `Retry-After` says when it may not"),
    "budget_unclaimed": Code(_POLICY, 403, _PERMISSION, "a budget counts by a claim that the call does not carry"),
    # upstreams
    "upstream_failed": Code(_UPSTREAM, 502, _SERVER, "every target that may serve this request failed"),
    "upstream_timeout": Code(_UPSTREAM, 504, _SERVER, "no target answered within its deadline"),
    "upstream_rate_limited": Code(_UPSTREAM, 429, _RATE, "every target that may serve this request is rate limited"),
    "upstream_credentials": Code(_UPSTREAM, 502, _SERVER, "an upstream refused the gateway's own credentials"),
    "upstream_rejected": Code(_UPSTREAM, 400, _INVALID, "the upstream refused the request as malformed"),
    "upstream_stream_broken": Code(_UPSTREAM, 502, _SERVER, "the upstream's stream ended before its answer did"),
    "upstream_unavailable": Code(_UPSTREAM, 503, _SERVER, "every target is cooling down after failures"),
    # tools
    "tool_not_found": Code(_CALLER, 404, _INVALID, "no tool has this name"),
    "tool_arguments": Code(_CALLER, 400, _INVALID, "an argument of the tool is missing, unknown or of the wrong type"),
    "scope_denied": Code(_POLICY, 403, _PERMISSION, "a path, host or program outside the scope of this call"),
    "obligation_unmet": Code(_POLICY, 403, _PERMISSION, "the house, or a rule, demands something to be shown first"),
    "sandbox_unavailable": Code(_US, 503, _SERVER, "the mode requires a sandbox, and this machine has none"),
    "tool_failed": Code(_UPSTREAM, 502, _SERVER, "the tool could not do what it was asked"),
    "tool_cancelled": Code(_CALLER, 499, _INVALID, "the caller gave up before the tool ended"),
    "tool_unavailable": Code(_UPSTREAM, 503, _SERVER, "the tool rests after failures"),
    "tool_timeout": Code(_UPSTREAM, 504, _SERVER, "the tool did not end within its time"),
    "tool_server_changed": Code(_UPSTREAM, 502, _SERVER, "an MCP server's tools are not those that were pinned"),
    "tool_server_suspect": Code(
        _POLICY, 403, _PERMISSION, "definitions of an MCP server's tools may hide instructions"
    ),
    "tool_server_unpinned": Code(_CALLER, 400, _INVALID, "an MCP server whose tools were not pinned as it stands now"),
    # ourselves
    "overloaded": Code(_US, 503, _SERVER, "a bounded queue of the gateway is full"),
    "journal_unavailable": Code(_US, 503, _SERVER, "the journal cannot be written, and calls without it are refused"),
    "deadline_exceeded": Code(_US, 504, _SERVER, "the call's own deadline passed"),
    "not_ready": Code(_US, 503, _SERVER, "the gateway is starting or draining"),
    "internal_error": Code(_US, 500, _SERVER, "a defect of the gateway; the log has its trace"),
    # contracts and configuration
    "contract_syntax": Code(_CALLER, 400, _INVALID, "the document is not YAML, TOML or JSON"),
    "contract_invalid": Code(_CALLER, 400, _INVALID, "a member of the document has the wrong type or value"),
    "contract_unknown_key": Code(_CALLER, 400, _INVALID, "the document has a key that its kind does not know"),
    "contract_unknown_kind": Code(_CALLER, 400, _INVALID, "no such kind of contract"),
    "contract_duplicate": Code(_CALLER, 400, _INVALID, "two documents carry the same kind and name"),
    "contract_reference": Code(_CALLER, 400, _INVALID, "the document names something that does not exist"),
    "contract_cycle": Code(_CALLER, 400, _INVALID, "the route leads back to itself"),
    "contract_too_deep": Code(_CALLER, 400, _INVALID, "the route nests deeper than `route_depth_max`"),
    "contract_secret": Code(_CALLER, 400, _INVALID, "a credential stands in the document itself"),
    "contract_unused": Code(_CALLER, 400, _INVALID, "a target of the contract that its route never leads to"),
    "policy_field": Code(_CALLER, 400, _INVALID, "a rule reads a field that its phase does not have"),
    "policy_pattern": Code(_CALLER, 400, _INVALID, "a pattern that could not be matched in linear time"),
    "policy_ambiguous": Code(_CALLER, 400, _INVALID, "two rules propose what cannot both happen, at equal priority"),
    "policy_unenforceable": Code(_CALLER, 400, _INVALID, "a policy asks for what this gateway cannot enforce"),
    "policy_example": Code(_CALLER, 400, _INVALID, "a rule does not decide as its own examples say"),
    "policy_finding": Code(_CALLER, 400, _INVALID, "something in a policy that is probably not meant"),
    "contract_not_found": Code(_CALLER, 404, _INVALID, "no contract or version of that name"),
    "credential_unreadable": Code(_CALLER, 400, _INVALID, "a credential's `env:` or `file:` source cannot be read"),
    "extra_missing": Code(_CALLER, 400, _INVALID, "an optional part that this needs is not installed"),
    "settings_invalid": Code(_CALLER, 400, _INVALID, "a setting has the wrong type or value"),
    "key_not_found": Code(_CALLER, 404, _INVALID, "no serving key with that id"),
    "alert_not_found": Code(_CALLER, 404, _INVALID, "no undelivered alert with that id, or no room for it"),
    "usage": Code(_CALLER, 400, _INVALID, "the command line cannot be understood"),
    # journal
    "journal_broken": Code(_US, 500, _SERVER, "a chain of the journal does not verify"),
    "journal_incomplete": Code(_US, 500, _SERVER, "a chain of the journal has no closing checkpoint"),
    "task_not_found": Code(_CALLER, 404, _INVALID, "no task has this id, or it ended too long ago"),
    "tasks_full": Code(_CALLER, 429, _RATE, "too many tasks wait for a runner to take them in"),
    "tasks_held": Code(_US, 409, _SERVER, "another process runs the tasks of this house"),
    "journal_locked": Code(_US, 409, _SERVER, "another process holds this state directory"),
    "journal_write": Code(_US, 503, _SERVER, "a record could not be written"),
    "lease_lost": Code(_US, 409, _SERVER, "a job was leased anew before its worker settled it"),
    "queue_broken": Code(_US, 500, _SERVER, "the work queue's file cannot be read or written"),
    "state_write": Code(_US, 503, _SERVER, "what is folded from the journal could not be kept beside it"),
    "record_invalid": Code(_US, 500, _SERVER, "a record holds a value that canonical JSON does not allow"),
    "server_unreachable": Code(_US, 503, _SERVER, "no running gateway answers at that address"),
}
"""Every code, in the order of the reference page."""


RETRY_WAIT_S_MAX: Final = 60
"""The longest `Retry-After` that SDKs obey."""


class WardwrightError(Exception):
    """A failure with a name: a code from CODES, one sentence, where possible a place and a hint.

    >>> WardwrightError("model_not_found", "no model `codign`", hint="did you mean `coding`?").status
    404
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        place: Place | None = None,
        hint: str | None = None,
        said: Said | None = None,
    ) -> None:
        self.row = CODES[code]
        self.code = code
        self.message = message
        self.place = place
        self.hint = hint
        self.said = said
        """Set where a rule refused."""
        super().__init__(message)

    @property
    def fault(self) -> Fault:
        return self.row.fault

    @property
    def status(self) -> int:
        return self.row.status

    @property
    def retryable(self) -> bool:
        """Whether the same request may fare better later: what is not retryable is answered so that SDKs stop."""
        status = self.row.status
        return status in (408, 429) or (status >= 500 and self.row.fault in (Fault.UPSTREAM, Fault.US))

    def worth_retrying(self, retry_after_s: int | None) -> bool:
        """Whether a client should try again by itself, given the wait it is told. SDKs ignore waits past a minute and
        come back after their own, much shorter ones."""
        return self.retryable and (retry_after_s is None or retry_after_s <= RETRY_WAIT_S_MAX)
