"""Types of arguments that several tools take, each as narrow as what it is handed to.

Rule 1: nothing that stands where a program also looks for options begins with `-`.
Rule 2: nothing holds a zero byte, and names no line break: programs and protocols would read it as an end. (`$` alone
holds before a line break that ends the text.)
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

URL_CHARS_MAX: Final = 4000

AbsolutePath: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00]*$", max_length=4096)]
"""From `/`, without zero bytes."""

RelativePath: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[^/\x00][^\x00]*$", max_length=4096)]
"""Not from `/`, without zero bytes."""

Revision: TypeAlias = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9_@/.^~{}+=:][A-Za-z0-9_@/.^~{}+=:-]*$(?!\n)", max_length=256)
]
"""What git calls a revision, such as `main`, `HEAD~2`, `v1..v2`, a digest. It does not begin with `-`."""

BranchName: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./+@=-]*$(?!\n)", max_length=200)]
"""The name of a branch, or of a remote."""

UnitName: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9:_.@\\-]*$(?!\n)", max_length=255)]
"""The name of a systemd unit, such as `nginx.service`."""

HostName: TypeAlias = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9_:\[][A-Za-z0-9_.:%\[\]-]*$(?!\n)", max_length=253)
]
"""A name or an address."""

Port: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
"""A TCP port."""

Url: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^https?://[!-~]+$(?!\n)", max_length=URL_CHARS_MAX)]
"""An HTTP address, in ASCII as it is sent."""
