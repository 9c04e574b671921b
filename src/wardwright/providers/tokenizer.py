"""A real tokenizer from a `tokenizer.json` on disk: exact counts, nothing fetched.

A conversation sends its past again with every step, so counts of texts past CACHED_CHARS_MIN are kept, by a digest of
the text and never the text itself.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wardwright.kernel.errors import Place, WardwrightError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""A larger file is no vocabulary."""
CACHED_CHARS_MIN: Final = 256
"""Shorter texts are counted faster than looked up."""
CACHED_TEXTS_MAX: Final = 8192
"""Counts kept; the one put first leaves first."""


class FileTokenizer:
    """Counts the tokens of texts: a `routing.tokens.TokenCounter`. Not for use by several threads at once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._counts: dict[bytes, int] = {}

    def count(self, text: str) -> int:
        if len(text) < CACHED_CHARS_MIN:
            return self._encoded(text)
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        known = self._counts.get(digest)
        if known is None:
            known = self._encoded(text)
            if len(self._counts) >= CACHED_TEXTS_MAX:
                del self._counts[next(iter(self._counts))]
            self._counts[digest] = known
        return known

    def _encoded(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def load(path: Path) -> FileTokenizer:
    """The tokenizer of a file, read once.

    Raises `extra_missing` where the extra `tokenizers` is not installed, `contract_reference` for a file that is not
    there, and `contract_invalid` for one that holds no tokenizer.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as cause:
        message = "a contract names a tokenizer, and the extra `tokenizers` is not installed"
        hint = "pip install 'wardwright[tokenizers]', or leave the estimate to the heuristic"
        raise WardwrightError("extra_missing", message, place=Place(file=str(path)), hint=hint) from cause
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= FILE_BYTES_MAX else b""
    except OSError as cause:
        message = f"the tokenizer cannot be read: {cause.strerror}"
        raise WardwrightError("contract_reference", message, place=Place(file=str(path))) from cause
    if not data:
        message = f"a tokenizer file is not empty and at most {FILE_BYTES_MAX} bytes"
        raise WardwrightError("contract_invalid", message, place=Place(file=str(path)))
    try:
        tokenizer = Tokenizer.from_buffer(data)
    except Exception as cause:  # the library raises plain Exception for every kind of bad file
        message = f"the file holds no tokenizer: {cause}"
        raise WardwrightError("contract_invalid", message, place=Place(file=str(path))) from cause
    # Truncation and padding belong to training; a file that sets them would make every long text look short.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return FileTokenizer(tokenizer)
