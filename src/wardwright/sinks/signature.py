"""How a webhook proves that it is ours: the headers of the Standard Webhooks specification (standardwebhooks.com).

`webhook-id` names the letter, `webhook-timestamp` the second of this attempt, and `webhook-signature` is `v1,` and the
base64 of HMAC-SHA256 over `id.timestamp.body`. A receiver recomputes it, refuses timestamps that are far off, and knows
by the id what it has seen before. Libraries for many languages do so.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Final

SECRET_PREFIX: Final = b"whsec_"
SECRET_BYTES_MIN: Final = 16


def key_of(secret: bytes) -> bytes:
    """The key behind a secret: the base64 after `whsec_`, else its bytes as they are. ValueError for a weak one.

    >>> key_of(b"whsec_MDEyMzQ1Njc4OWFiY2RlZg==")
    b'0123456789abcdef'
    """
    key = secret
    if secret.startswith(SECRET_PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        except binascii.Error as error:
            raise ValueError("what follows `whsec_` is not base64") from error
    if len(key) < SECRET_BYTES_MIN:
        raise ValueError(f"the key of a signature has at least {SECRET_BYTES_MIN} bytes; this has {len(key)}")
    return key


def signed(key: bytes, id_: str, at_s: int, body: bytes) -> list[tuple[bytes, bytes]]:
    """The headers that go with a body."""
    content = b"%b.%d.%b" % (id_.encode(), at_s, body)
    signature = base64.b64encode(hmac.digest(key, content, "sha256"))
    return [
        (b"webhook-id", id_.encode()),
        (b"webhook-timestamp", b"%d" % at_s),
        (b"webhook-signature", b"v1," + signature),
    ]
