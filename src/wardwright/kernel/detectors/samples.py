"""Texts that a detector must find something in, and lookalikes in which it must not.

Each is spelled in pieces, to be joined: a file that holds a whole one would set off every scanner, this one included.
Policies make their near misses from them, and the tests hold the table to them.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

Pieces: TypeAlias = tuple[str, ...]


class Samples(msgspec.Struct, frozen=True):
    """Of one row."""

    holds: tuple[Pieces, ...]
    """The find is everything from the second piece to the last but one."""
    lacks: tuple[Pieces, ...]

    def texts(self) -> tuple[str, ...]:
        return tuple("".join(pieces) for pieces in self.holds)

    def lookalikes(self) -> tuple[str, ...]:
        return tuple("".join(pieces) for pieces in self.lacks)


_LUCK: Final = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"

SAMPLES: Final[dict[str, Samples]] = {
    "anthropic_key": Samples(
        holds=(("key ", "sk-", "ant-api03-", _LUCK, "."),),
        lacks=(("", "sk-", "ant-short"), ("", "risk-", "ant-", _LUCK)),
    ),
    "aws_access_key": Samples(
        holds=(("id=", "AKIA", "IOSFODNN7EXAMPLE", " "), ("", "ASIA", "Y34FZKBOKMUTVV7A", "")),
        lacks=(("AKIA", "iosfodnn7example"), ("AKIA", "IOSFODNN7EXAMPLE7")),
    ),
    "basic_credentials": Samples(
        holds=(("Authorization: ", "Basic ", "dXNlcjpwYXNz", "d29yZDEyMw==", "\n"),),
        lacks=(("Basic knowledge of Python",), ("Basic ", "bm8gY29sb24gaGVyZQ==")),
    ),
    "bearer_token": Samples(
        holds=(("Authorization: ", "Bearer ", "mF_9.B5f-4.1JqM", "abcdefg", "\n"),),
        lacks=(("the bearer of good news",), ("Bearer ", "$TOKEN")),
    ),
    "credit_card": Samples(
        holds=(
            ("card ", "4111 1111 ", "1111 1111", ", due 2026"),
            ("", "5500-0000-", "0000-0004", ""),
            ("", "3782 822463", " 10005", " x"),
            ("", "601111", "1111111117", "."),
            ("", "4111 1111 ", "1111 1111", " 202"),
        ),
        lacks=(("4111 1111 ", "1111 1112"), ("9111 1111 1111 1115",), ("order 20260329 1234567890123",)),
    ),
    "email": Samples(
        holds=(("mail ", "ann.lee+x@", "mail.example.com", " now"), ("<", "a@", "b.io", ">")),
        lacks=(("user@localhost",), ("a@-b.com",), ("a..@b.com",), ("@decorator.name",)),
    ),
    "gcp_key": Samples(
        holds=(("", "AIza", "SyA-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0e", ""), ("", "ya29.", _LUCK, " ")),
        lacks=(("AIza", "short"), ("GOCSPX-", "short")),
    ),
    "github_token": Samples(
        holds=(("token ", "ghp_", _LUCK, " "), ("", "github_", "pat_", "11AAAAAAA0", _LUCK, "\n")),
        lacks=(("ghp_", "short"), ("xghp_", _LUCK)),
    ),
    "gitlab_token": Samples(
        holds=(("", "glpat-", "aB3dE6gH9jK2mN5pQ8sT", " "),),
        lacks=(("glpat-", "short"),),
    ),
    "huggingface_token": Samples(holds=(("", "hf_", _LUCK, ""),), lacks=(("hf_", "hub_download"),)),
    "iban": Samples(
        holds=(
            ("pay to ", "DE89 3704 0044 ", "0532 0130 00", " soon"),
            ("", "GB82WEST", "12345698765432", ""),
            ("", "CH93 0076 2011 ", "6238 5295 7", " THEN"),
            ("", "GB82 WEST 1234 ", "5698 7654 32", " DONE"),
        ),
        lacks=(("DE89 3704 0044 ", "0532 0130 01"), ("GB82WEST", "1234569876543"), ("AB12 CDEF GHIJ KLMN",)),
    ),
    "inference_key": Samples(holds=(("", "gsk_", _LUCK, ""),), lacks=(("gsk_", "short"),)),
    "ipv4": Samples(
        holds=(("at ", "192.168.", "0.17", ":80"),), lacks=(("192.168.0.256",), ("1.2.3",), ("01.2.3.4",))
    ),
    "ipv6": Samples(
        holds=(("at ", "2001:db8::", "8a2e:370:7334", " "), ("", "fe80:0:0:0:", "1:2:3:4", "")),
        lacks=(("at 12:34:56",), ("add::ace",), ("1:2:3:4:5:6:7",)),
    ),
    "jwt": Samples(
        holds=(("", "eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxIn0", ".dBjftJeZ4CVP", " "),),
        lacks=(("eyJhbGciOiJI", ".eyJzdWIiOiIx", ".abcdefgh12"), ("eyJ.eyJ.x",)),
    ),
    "keyed_secret": Samples(
        holds=(
            ("DB_", "PASSWORD=", "tR0ub4dor3xQ", "\n"),
            ('{"', 'api_key": "', "9f8e7d6c5b4a3210", '"}'),
        ),
        lacks=(("password: required here",), ("password=", "${DB_PASSWORD_1}"), ("token: aaaaaaaa1",), ("secret=",)),
    ),
    "npm_token": Samples(
        holds=(("_authToken=", "npm_", _LUCK, "\n"),),
        lacks=(("npm_", "config_registry"),),
    ),
    "openai_key": Samples(
        holds=(("", "sk-", "proj-", _LUCK, " "), ("", "sk-", _LUCK, "")),
        lacks=(("sk-", "short"), ("task-", _LUCK), ("sk-", "ant-api03-", _LUCK)),
    ),
    "phone": Samples(
        holds=(
            ("call ", "+41 44 ", "668 18 00", "."),
            ("", "+1 (212) ", "555-0123", ""),
            ("", "+442079", "460958", " "),
        ),
        lacks=(("+1 234",), ("a+4420794609588",), ("+1 012 555 0123",), ("+999",)),
    ),
    "private_key": Samples(
        holds=(
            ("", "-----BEGIN ", "PRIVATE KEY-----", " is the first line"),
            (
                "x ",
                "-----BEGIN RSA ",
                "PRIVATE KEY-----\n",
                "MIIEowIBAAKCAQEAaB3dE6gH9jK2\n",
                "-----END RSA ",
                "PRIVATE KEY-----",
                "\n",
            ),
            ("", "-----BEGIN EC ", "PRIVATE KEY-----\n", "MHcCAQEEIBkg4LVWM9nuwNSk3yByxZpYRTBnVJk5oGcHbQ", " cut"),
        ),
        lacks=(("-----BEGIN ", "PUBLIC KEY-----"), ("PRIVATE KEY",)),
    ),
    "pypi_token": Samples(holds=(("", "pypi-", "AgEIcHlwaS5vcmc", _LUCK, " "),), lacks=(("pypi-", "publish"),)),
    "slack_token": Samples(
        holds=(("", "xoxb-", "123456789012-", "aB3dE6gH9jK2", " "),), lacks=(("xoxb-", "short"), ("xoxz-", _LUCK))
    ),
    "stripe_key": Samples(holds=(("", "sk_", "live_", "aB3dE6gH9jK2mN5pQ8sT1vW4", " "),), lacks=(("sk_live_", "x"),)),
    "url_password": Samples(
        holds=(("", "postgres://", "user:hunter2", "@", "db/x"),),
        lacks=(("https://host:8000/v1/path@x",), ("postgres://user:", "$PASSWORD@db")),
    ),
    "us_ssn": Samples(
        holds=(("ssn ", "536-", "22-1234", "."), ("", "536 ", "22 1234", "")),
        lacks=(("000-", "22-1234"), ("666-22-1234",), ("536-00-1234",), ("078-05-1120",), ("536-22-12345",)),
    ),
    "wardwright_key": Samples(holds=(("", "wwk_", _LUCK, ""),), lacks=(("wwk_", "short"),)),
}  # fmt: skip
"""By row."""
