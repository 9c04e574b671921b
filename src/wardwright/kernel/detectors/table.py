"""The table of detectors: what each looks for, and what proves a find.

Rule 1: a row is a shape, in the pattern language, and where the shape alone would mislead a proof. The shape is linear
to look for; the proof sees one candidate.
Rule 2: `DETECTORS_VERSION` names the table. A change of a shape changes it; a change of a proof must raise the row's
`revision`, and then does too. A receipt that holds it says by which table a decision was made.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

import msgspec

from wardwright.kernel import canonical
from wardwright.kernel.detectors import proofs
from wardwright.kernel.detectors.proofs import Proof

Family: TypeAlias = Literal["network", "personal_data", "secrets"]

ANY: Final = "any"
"""The name of all rows together."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One detector."""

    name: str
    family: Family
    says: str
    """What it finds, in words that follow `holds`."""
    shape: str
    proof: Proof | None = None
    """None: the shape is proof enough."""
    proves: str = ""
    """What the proof asks, in words."""
    revision: int = 1


def _issued(name: str, says: str, shape: str) -> Row:
    """A credential that its issuer's prefix makes known."""
    return Row(name=name, family="secrets", says=says, shape=shape)


ROWS: Final = (
    _issued("anthropic_key", "an API key of Anthropic", r"\bsk-ant-[A-Za-z0-9_-]{16,}"),
    _issued("aws_access_key", "an access key of AWS", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    Row(
        name="basic_credentials",
        family="secrets",
        says="basic credentials",
        shape=r"\bBasic\s+[A-Za-z0-9+/]{8,}={0,2}",
        proof=proofs.basic_credentials,
        proves="base64 of a name, a colon and a password",
    ),
    _issued("bearer_token", "a bearer token", r"\b[Bb]earer\s+[A-Za-z0-9._~+/=-]{16,}"),
    Row(
        name="credit_card",
        family="personal_data",
        says="a payment card number",
        shape=(
            r"\b(?:[0-9]{13,19}|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5}"
            r"|[0-9]{4}(?:[ -][0-9]{4}){2}[ -][0-9]{1,4}(?:[ -][0-9]{1,3})?)\b"
        ),
        proof=proofs.card,
        proves="an issuer's range and length, Luhn's check digit",
    ),
    Row(
        name="email",
        family="personal_data",
        says="an e-mail address",
        shape=r"\b[A-Za-z0-9_][A-Za-z0-9._%+-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b",
        proof=proofs.mail,
        proves="lengths of RFC 5321, sound labels",
    ),
    _issued(
        "gcp_key",
        "an API key of Google",
        r"\b(?:AIza[0-9A-Za-z_-]{35}|GOCSPX-[0-9A-Za-z_-]{28}|ya29\.[0-9A-Za-z_-]{20,})",
    ),
    _issued("github_token", "a token of GitHub", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})"),
    _issued("gitlab_token", "a token of GitLab", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[A-Za-z0-9_-]{18,}"),
    _issued("huggingface_token", "a token of Hugging Face", r"\bhf_[A-Za-z0-9]{30,}"),
    Row(
        name="iban",
        family="personal_data",
        says="an IBAN",
        shape=r"\b[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?)\b",
        proof=proofs.iban,
        proves="the country's length, the remainder mod 97",
    ),
    _issued("inference_key", "an API key", r"\b(?:gsk|xai|pplx|nvapi|r8)[-_][A-Za-z0-9_-]{28,}"),
    Row(
        name="ipv4",
        family="network",
        says="an IPv4 address",
        shape=r"\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b",
        proof=proofs.ipv4,
        proves="four octets without leading zeros",
    ),
    Row(
        name="ipv6",
        family="network",
        says="an IPv6 address",
        shape=r"\b[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){1,6}:[0-9A-Fa-f]{1,4}\b",
        proof=proofs.ipv6,
        proves="eight groups, or fewer around one `::`",
    ),
    Row(
        name="jwt",
        family="secrets",
        says="a JSON Web Token",
        shape=r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",
        proof=proofs.web_token,
        proves="a header that decodes and names its algorithm",
    ),
    Row(
        name="keyed_secret",
        family="secrets",
        says="a secret under its name",
        shape=(
            r"(?i)(?:pass(?:word|wd|phrase)|pwd|secret|(?:api|access|private|signing)[_-]?key|token)"
            r"[\"'`]?\s{0,4}(?::=|=>|[=:])\s{0,4}[\"'`]?[^\s\"'`,;<>()\[\]{}=:][^\s\"'`,;<>()\[\]{}]{7,}"
        ),
        proof=proofs.keyed_secret,
        proves="letters and digits, 3 bits of entropy a character, no placeholder",
    ),
    _issued("npm_token", "a token of npm", r"\bnpm_[A-Za-z0-9]{36}\b"),
    Row(
        name="openai_key",
        family="secrets",
        says="an API key",
        shape=r"\bsk-[A-Za-z0-9_-]{16,}",
        proof=proofs.openai_key,
        proves="not one of Anthropic's",
    ),
    Row(
        name="phone",
        family="personal_data",
        says="a phone number",
        shape=r"\B\+[1-9](?:[ .()/-]{0,2}[0-9]){6,14}\b",
        proof=proofs.phone,
        proves="a country code and length of E.164",
    ),
    Row(
        name="private_key",
        family="secrets",
        says="a private key",
        shape=(
            r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----"
            r"(?:[A-Za-z0-9+/=\s\\]*(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY-----)?)"
        ),
        proof=proofs.private_key,
        proves="the key's lines, to its end",
    ),
    _issued("pypi_token", "a token of PyPI", r"\bpypi-[A-Za-z0-9_-]{50,}"),
    _issued(
        "slack_token",
        "a token of Slack",
        r"\b(?:xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/[A-Za-z0-9/]{20,})",
    ),
    _issued(
        "stripe_key", "a key of Stripe", r"\b(?:(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}|whsec_[0-9A-Za-z+/=]{24,})"
    ),
    Row(
        name="url_password",
        family="secrets",
        says="a password inside an address",
        shape=r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/@:?#]*:[^\s/@]+@",
        proof=proofs.url_password,
        proves="no placeholder",
    ),
    Row(
        name="us_ssn",
        family="personal_data",
        says="a US social security number",
        shape=r"\b(?:[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3} [0-9]{2} [0-9]{4})\b",
        proof=proofs.social_security,
        proves="an area, group and serial that can be issued",
    ),
    _issued("wardwright_key", "a key of this gateway", r"\bwwk_[A-Za-z0-9_-]{20,}"),
)
"""Every detector, by name."""

BY_NAME: Final = {row.name: row for row in ROWS}
FAMILIES: Final[tuple[Family, ...]] = get_args(Family)
NAMES: Final = (*BY_NAME, *FAMILIES, ANY)
"""What may be asked for."""

DETECTORS_VERSION: Final = canonical.digest([[row.name, row.family, row.shape, row.revision] for row in ROWS])


def rows_of(name: str) -> tuple[Row, ...]:
    """The rows that a name stands for: its own, its family's, or all. Raises KeyError."""
    if name == ANY:
        return ROWS
    if name in FAMILIES:
        return tuple(row for row in ROWS if row.family == name)
    return (BY_NAME[name],)


def words(name: str) -> str:
    """What a name of `NAMES` finds, in words that follow `holds`.

    >>> words("iban"), words("personal_data")
    ('an IBAN', 'personal data')
    """
    row = BY_NAME.get(name)
    return row.says if row is not None else _WORDS.get(name, name)


_WORDS: Final = {
    ANY: "secrets, personal data or network addresses",
    "network": "network addresses",
    "personal_data": "personal data",
}
