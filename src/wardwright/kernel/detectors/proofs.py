"""What tells a find from a lookalike: checksums, issuers' ranges, structure, entropy.

A proof is asked about a candidate, a text that has the shape. It answers how many characters of it, from the first, are
what was looked for; 0: none. So a card number is found although the digits of a date follow it.
"""

from __future__ import annotations

import binascii
import ipaddress
import math
from base64 import b64decode, urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

import msgspec

Proof: TypeAlias = Callable[[str], int]

ENTROPY_BITS_MIN: Final = 3.0
"""Of a value under a keyed name, for each of its characters: above words, below what is drawn by luck."""

# Payment cards and accounts

_CARD_RANGES: Final = (
    ("2200", "2204", (16, 17, 18, 19)),  # Mir
    ("2221", "2720", (16,)),  # Mastercard
    ("300", "305", (14, 15, 16, 17, 18, 19)),  # Diners Club
    ("309", "309", (14, 15, 16, 17, 18, 19)),
    ("34", "34", (15,)),  # American Express
    ("3528", "3589", (16, 17, 18, 19)),  # JCB
    ("36", "36", (14, 15, 16, 17, 18, 19)),  # Diners Club
    ("37", "37", (15,)),  # American Express
    ("38", "39", (14, 15, 16, 17, 18, 19)),  # Diners Club
    ("4", "4", (13, 16, 19)),  # Visa
    ("5018", "5018", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("5020", "5020", (13, 14, 15, 16, 17, 18, 19)),
    ("5038", "5038", (13, 14, 15, 16, 17, 18, 19)),
    ("51", "55", (16,)),  # Mastercard
    ("5893", "5893", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("6011", "6011", (16, 17, 18, 19)),  # Discover
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("6304", "6304", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("644", "649", (16, 17, 18, 19)),  # Discover
    ("65", "65", (16, 17, 18, 19)),
    ("6759", "6763", (13, 14, 15, 16, 17, 18, 19)),  # Maestro
)
"""First and last prefix of an issuer, and the numbers of digits in use."""
_CARD_DIGITS_MIN: Final = 13


def card(candidate: str) -> int:
    """An issuer's range, its length, and the check digit of Luhn (ISO/IEC 7812)."""
    for size, digits in _cut_at_groups(candidate):
        if len(digits) >= _CARD_DIGITS_MIN and luhn(digits) and _is_issued(digits):
            return size
    return 0


def _is_issued(digits: str) -> bool:
    return any(low <= digits[: len(low)] <= high and len(digits) in lengths for low, high, lengths in _CARD_RANGES)


def luhn(digits: str) -> bool:
    """Whether the last digit is Luhn's check digit.

    >>> luhn("79927398713"), luhn("79927398710")
    (True, False)
    """
    return sum(map(int, digits[-1::-2] + digits[-2::-2].translate(_DOUBLED))) % 10 == 0


_DOUBLED: Final = str.maketrans("0123456789", "0246813579")
"""Each digit doubled, its digits added."""

_IBAN_CHARS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
"""Characters of an account number by country (the SWIFT registry of ISO 13616)."""


def iban(candidate: str) -> int:
    """The country's length, and the remainder of ISO 7064 (mod 97-10)."""
    wanted = _IBAN_CHARS.get(candidate[:2])
    for size, chars in _cut_at_groups(candidate):
        if len(chars) == wanted:
            number = "".join(str(int(char, 36)) for char in chars[4:] + chars[:4])
            return size if int(number) % 97 == 1 else 0
    return 0


def _cut_at_groups(candidate: str) -> Iterator[tuple[int, str]]:
    """The candidate, then without its last group, and so on: its size and what stands in it beside separators."""
    end = len(candidate)
    while end > 0:
        yield end, candidate[:end].replace(" ", "").replace("-", "")
        end = max(candidate.rfind(" ", 0, end), candidate.rfind("-", 0, end))


# People


def social_security(candidate: str) -> int:
    """Areas, groups and serials that were never issued, and the two numbers that advertisements made known."""
    area, group, serial = candidate[:3], candidate[4:6], candidate[7:]
    never = area in ("000", "666") or area >= "900" or group == "00" or serial == "0000"
    known = (area, group, serial) in (("078", "05", "1120"), ("219", "09", "9999"))
    return 0 if never or known else len(candidate)


_COUNTRY_CODES: Final = (
    *("7", "20", "27", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49"),
    *("51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66", "81", "82", "84", "86"),
    *("90", "91", "92", "93", "94", "95", "98"),
    *("21", "22", "23", "24", "25", "26", "29", "35", "37", "38", "42", "50", "59", "67", "68", "69", "80", "85", "87"),
    *("88", "96", "97", "99"),
)
"""Country codes of one and two digits, then the first two of those that have three."""
_NORTH_AMERICA_DIGITS: Final = 11


def phone(candidate: str) -> int:
    """A country code of E.164 and its length; numbers of North America have eleven digits and no area below 200."""
    digits = "".join(char for char in candidate if char.isdigit())
    if digits[0] == "1":
        if len(digits) < _NORTH_AMERICA_DIGITS or digits[1] in "01" or digits[4] in "01":
            return 0
        return _after_digits(candidate, _NORTH_AMERICA_DIGITS)
    return len(candidate) if digits.startswith(_COUNTRY_CODES) else 0


def _after_digits(candidate: str, count: int) -> int:
    """Where so many digits have ended; 0 where another follows at once."""
    seen = 0
    for at, char in enumerate(candidate):
        seen += char.isdigit()
        if seen == count:
            return 0 if candidate[at + 1 : at + 2].isdigit() else at + 1
    return 0


_MAIL_LOCAL_MAX: Final = 64
_MAIL_HOST_MAX: Final = 253
_LABEL_MAX: Final = 63


def mail(candidate: str) -> int:
    """The lengths of RFC 5321, and a host whose labels are labels."""
    local, _, host = candidate.rpartition("@")
    labels = host.split(".")
    sound = all(0 < len(label) <= _LABEL_MAX and label[0] != "-" != label[-1] for label in labels)
    dotted = ".." not in local and not local.endswith(".")
    return len(candidate) if sound and dotted and len(local) <= _MAIL_LOCAL_MAX and len(host) <= _MAIL_HOST_MAX else 0


# Networks


def ipv4(candidate: str) -> int:
    """Four octets without leading zeros."""
    try:
        ipaddress.IPv4Address(candidate)
    except ValueError:
        return 0
    return len(candidate)


_IPV6_GROUPS_MIN: Final = 3


def ipv6(candidate: str) -> int:
    """Eight groups, or fewer around one `::`; a time of day and a name of C++ are none."""
    groups = [group for group in candidate.split(":") if group]
    if len(groups) < _IPV6_GROUPS_MIN or not any(char.isdigit() for char in candidate):
        return 0
    try:
        ipaddress.IPv6Address(candidate)
    except ValueError:
        return 0
    return len(candidate)


# Credentials


class _JoseHeader(msgspec.Struct):
    alg: str


_jose = msgspec.json.Decoder(_JoseHeader)


def web_token(candidate: str) -> int:
    """A first part that decodes to a JSON object which names its algorithm (RFC 7515)."""
    head = candidate.partition(".")[0]
    try:
        _jose.decode(urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (binascii.Error, msgspec.DecodeError, ValueError):
        return 0
    return len(candidate)


def basic_credentials(candidate: str) -> int:
    """Base64 of a name, a colon and a password (RFC 7617)."""
    encoded = candidate.split()[-1]
    try:
        decoded = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except binascii.Error:
        return 0
    return len(candidate) if b":" in decoded and decoded.isascii() else 0


_PEM_END: Final = "-----END "
_PEM_LINE_CHARS_MIN: Final = 16


def private_key(candidate: str) -> int:
    """To its end line; where that is missing, as far as lines of a key go on."""
    if _PEM_END in candidate:
        return len(candidate)
    head = candidate.index("-----", 5) + 5
    size = head
    for piece in candidate[head:].split():
        if len(piece) < _PEM_LINE_CHARS_MIN:
            break
        size = candidate.index(piece, size) + len(piece)
    return size


_PLACEHOLDERS: Final = (
    "$",
    "<",
    "{",
    "*",
    "%",
    "[",
    "xxx",
    "your",
    "env:",
    "file:",
    "example",
    "changeme",
    "placeholder",
)


def url_password(candidate: str) -> int:
    """A password that is none of a template's places."""
    password = candidate.rpartition("@")[0].partition("://")[2].partition(":")[2]
    return 0 if password.lower().startswith(_PLACEHOLDERS) else len(candidate)


def keyed_secret(candidate: str) -> int:
    """A value that luck made: letters and digits, more entropy than words have, and no place of a template."""
    named = min(at for mark in "=:" if (at := candidate.find(mark)) >= 0)
    value = candidate[named:].lstrip(" \t\r\n=:>\"'`")
    if value.lower().startswith(_PLACEHOLDERS):
        return 0
    mixed = any(char.isdigit() for char in value) and any(char.isalpha() for char in value)
    return len(candidate) if mixed and entropy_bits(value) >= ENTROPY_BITS_MIN else 0


def entropy_bits(text: str) -> float:
    """Shannon's entropy of a text's characters, in bits a character.

    >>> entropy_bits("aabb"), entropy_bits("abcdefgh")
    (1.0, 3.0)
    """
    counts = Counter(text)
    return sum(count / len(text) * math.log2(len(text) / count) for count in counts.values())


def openai_key(candidate: str) -> int:
    """Not one of Anthropic's, which begin alike."""
    return 0 if candidate.startswith("sk-ant-") else len(candidate)
