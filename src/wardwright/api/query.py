"""Query parameters: declared as data, read once, refused where they are unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl

import msgspec

from wardwright.contracts.refusal import did_you_mean
from wardwright.kernel.canonical import INTEGER_MAX
from wardwright.kernel.errors import Place, WardwrightError
from wardwright.kernel.units import SECOND_US

PARAMETERS_MAX: Final = 64
TEXT_CHARS_MAX: Final = 512

Form: TypeAlias = Literal["text", "integer", "boolean", "instant", "instant_s"]
"""`instant`: RFC 3339, or µs since the epoch. `instant_s`: RFC 3339, or seconds since the epoch. Both read as µs."""

Value: TypeAlias = str | int

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One query parameter of an operation."""

    name: str
    means: str
    """One line for the API document."""
    form: Form = "text"
    default: Value | None = None
    ge: int | None = None
    le: int | None = None
    required: bool = False


class Query:
    """The parameters of one request, by name."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def items(self) -> Iterable[tuple[str, Value]]:
        return self._values.items()

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        assert value is None or isinstance(value, str)
        return value

    def integer(self, name: str) -> int | None:
        value = self._values.get(name)
        assert value is None or isinstance(value, int)
        return value


NOTHING: Final = Query({})


def read(raw: bytes, parameters: tuple[Parameter, ...]) -> Query:
    """What a query string says. Raises `invalid_request` with the parameter as its place.

    >>> read(b"limit=3", (Parameter(name="limit", means="", form="integer"),)).integer("limit")
    3
    """
    known = {parameter.name: parameter for parameter in parameters}
    values: dict[str, Value] = {
        parameter.name: parameter.default for parameter in parameters if parameter.default is not None
    }
    seen: set[str] = set()
    for name, text in _pairs(raw):
        parameter = known.get(name)
        if parameter is None:
            raise _refusal(name, "there is no such query parameter here", did_you_mean(name, known))
        if name in seen:
            raise _refusal(name, "the parameter stands twice in the query")
        seen.add(name)
        values[name] = _value(parameter, text)
    for parameter in parameters:
        if parameter.required and parameter.name not in values:
            raise _refusal(parameter.name, f"the query needs `{parameter.name}`: {parameter.means}")
    return Query(values)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except UnicodeError:
        raise WardwrightError("invalid_request", "the query is not UTF-8 in percent-encoding") from None
    except ValueError:
        raise WardwrightError("invalid_request", f"the query has more than {PARAMETERS_MAX} parameters") from None


def _value(parameter: Parameter, text: str) -> Value:
    name = parameter.name
    if not text or len(text) > TEXT_CHARS_MAX:
        raise _refusal(name, f"`{name}` must hold between 1 and {TEXT_CHARS_MAX} characters")
    match parameter.form:
        case "text":
            return text
        case "boolean":
            if text not in ("true", "false"):
                raise _refusal(name, f"`{name}` is `true` or `false`")
            return text == "true"
        case "integer":
            return _bounded(parameter, _integer(name, text))
        case "instant" | "instant_s":
            return _instant(name, text, 1 if parameter.form == "instant" else SECOND_US)


def _bounded(parameter: Parameter, value: int) -> int:
    low, high = parameter.ge, parameter.le
    if (low is not None and value < low) or (high is not None and value > high):
        raise _refusal(parameter.name, f"`{parameter.name}` lies between {low} and {high}")
    return value


def _integer(name: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 16 or int(digits) > INTEGER_MAX:
        raise _refusal(name, f"`{name}` must be a whole number")
    return int(text)


def _instant(name: str, text: str, unit_us: int) -> int:
    if text.removeprefix("-").isdigit():
        instant = _integer(name, text) * unit_us
        if abs(instant) <= INTEGER_MAX:
            return instant
    else:
        try:
            # A `+` that nobody encoded arrives as a blank.
            moment = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        except ValueError:
            moment = None
        if moment is not None:
            zoned = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
            since = zoned - _EPOCH
            return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds
    raise _refusal(name, f"`{name}` is no instant", "write `2026-01-31T12:00:00Z`, or a whole number since the epoch")


def _refusal(name: str, message: str, hint: str | None = None) -> WardwrightError:
    return WardwrightError("invalid_request", message, place=Place(path=name), hint=hint)
