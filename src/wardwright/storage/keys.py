"""Who this installation is: the node's name, its signing key, and the tenants' HMAC keys.

Keys lie in files for their owner alone, outside the journal. The signing key proves checkpoints; every public key it
ever had stays, so that old checkpoints verify. A tenant's key makes digests of bodies: without it nobody can guess a
body from its digest, and dropping it makes every digest of that tenant meaningless for ever.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.ids import LUCK_BITS, Luck, mint
from wardwright.storage import layout
from wardwright.storage.files import create, sync_dir

_PRIVATE_PEM: Final = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
_PUBLIC_PEM: Final = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
TENANT_KEY_BYTES: Final = 32


class _Node(msgspec.Struct, forbid_unknown_fields=True):
    node: str


class NodeSigner:
    """The node's signing key. Its `key` is the start of the SHA-256 of the public key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._key = key_name(private.public_key())

    @property
    def key(self) -> str:
        return self._key

    @property
    def public(self) -> Ed25519PublicKey:
        return self._private.public_key()

    def sign(self, message: bytes) -> str:
        return self._private.sign(message).hex()


class Identity(msgspec.Struct, frozen=True):
    """This installation."""

    node: str
    """`node_…`, minted once."""
    signer: NodeSigner


def identity(state: Path, *, now_us: int, luck: Luck) -> Identity:
    """The node's name and key, made at the first start. Raises `credential_unreadable`.

    Processes that start at the same time agree on both.
    """
    path = state / "node.json"
    if not path.exists():
        create(path, msgspec.json.encode(_Node(mint("node", now_us, luck.bits(LUCK_BITS)))) + b"\n")
    try:
        node = msgspec.json.decode(path.read_bytes(), type=_Node).node
    except msgspec.MsgspecError as error:
        raise _unreadable(path, f"the node's name cannot be read: {error}") from error
    return Identity(node, _signer(state))


def public_keys(state: Path) -> dict[str, Ed25519PublicKey]:
    """Every public key the node ever signed with, by name."""
    keys = {}
    for path in sorted((state / "keys" / "public").glob("*.pem")):
        public = serialization.load_pem_public_key(path.read_bytes())
        if isinstance(public, Ed25519PublicKey):
            keys[key_name(public)] = public
    return keys


class SignatureCheck:
    """A `journal.checkpoint.Check` over a set of public keys."""

    def __init__(self, keys: dict[str, Ed25519PublicKey]) -> None:
        self._keys = keys

    def __call__(self, key: str, message: bytes, signature: str, /) -> bool:
        public = self._keys.get(key)
        if public is None:
            return False
        try:
            public.verify(bytes.fromhex(signature), message)
        except (InvalidSignature, ValueError):
            return False
        # Hex has two cases: one signature must not have two spellings.
        return signature == signature.lower()


def key_name(public: Ed25519PublicKey) -> str:
    """How records name a public key."""
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:32]


class TenantKeys:
    """HMAC keys by tenant, made when first asked for."""

    def __init__(self, state: Path, luck: Luck) -> None:
        self._directory = state / "keys" / "tenants"
        self._luck = luck
        self._keys: dict[str, bytes] = {}

    def key(self, tenant: str) -> bytes:
        """The tenant's key. The first call for a tenant reads or writes a file; later ones cost a look."""
        key = self._keys.get(tenant)
        if key is None:
            key = self._keys[tenant] = self._read_or_make(tenant)
        return key

    def digest(self, tenant: str, body: bytes) -> str:
        """HMAC-SHA256 of a body, hex: equal bodies compare equal inside one tenant alone."""
        return hmac.digest(self.key(tenant), body, "sha256").hex()

    def forgotten(self, tenants: Iterable[str]) -> None:
        """Another process dropped the keys of these tenants."""
        for tenant in tenants:
            self._keys.pop(tenant, None)

    def forget(self, tenant: str) -> bool:
        """Drop a tenant's key; whether there was one. A later call for the tenant makes another."""
        self._keys.pop(tenant, None)
        path = self._path(tenant)
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        sync_dir(path.parent)
        return True

    def _read_or_make(self, tenant: str) -> bytes:
        path = self._path(tenant)
        if not path.exists():
            create(path, self._luck.bits(TENANT_KEY_BYTES * 8).to_bytes(TENANT_KEY_BYTES, "big"))
        key = _private_bytes(path)
        if len(key) != TENANT_KEY_BYTES:
            raise _unreadable(path, f"a tenant's key has {len(key)} bytes, not {TENANT_KEY_BYTES}")
        return key

    def _path(self, tenant: str) -> Path:
        return self._directory / f"{layout.tenant_name(tenant)}.key"


def _signer(state: Path) -> NodeSigner:
    path = state / "keys" / "signing.pem"
    if not path.exists():
        create(path, Ed25519PrivateKey.generate().private_bytes(*_PRIVATE_PEM))
    try:
        private = serialization.load_pem_private_key(_private_bytes(path), password=None)
    except ValueError as error:
        raise _unreadable(path, f"the signing key cannot be read: {error}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _unreadable(path, "the signing key is not an Ed25519 key")
    signer = NodeSigner(private)
    create(state / "keys" / "public" / f"{signer.key}.pem", signer.public.public_bytes(*_PUBLIC_PEM))
    return signer


def _private_bytes(path: Path) -> bytes:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            raise _unreadable(path, "others than its owner may read this key", hint=f"chmod 600 {path}")
        return file.read()


def _unreadable(path: Path, message: str, hint: str | None = None) -> WardwrightError:
    return WardwrightError("credential_unreadable", message, place=Place(file=str(path)), hint=hint)
