"""Requests in JSON: decoded into their types, a mistake told in one line with the path of its field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar

import msgspec

from venuewise.errors import ConfigError

Request = TypeVar("Request")

_FORMS: Final = (
    (r"Input data was truncated", "{nothing}; expected one JSON object, whole"),
    (r"JSON is malformed: (.*)", r"no JSON (\1); expected one JSON object"),
    (r"Object contains unknown field `(.*)`", r"a field \1; expected none of that name"),
    (r"Object missing required field `(.*)`", r"no \1; expected one"),
    (r"Expected `(.*)`( of .*)?, got `?(.*?)`?", r"\3; expected \1\2"),
    (r"(?:Integer value|Number) out of range", "a number beyond 64 bits; expected a smaller one"),
)
"""What msgspec says -> what it found, and what we expected."""


def decode_json(
    text: bytes, kind: type[Request], what: str, choices: Mapping[str, tuple[str, ...]]
) -> Request:
    """Read one request.

    Parameters
    ----------
    text : bytes
        JSON.
    kind : type
        What to decode it into: a msgspec struct.
    what : str
        What the text is called in messages, such as "book".
    choices : mapping
        Fields with a fixed choice -> what they may say.

    Raises
    ------
    ConfigError
        If it is not JSON, or not of that type.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except UnicodeDecodeError:
        raise ConfigError(f"{what}: found bytes that are not UTF-8; expected one JSON object") from None
    except msgspec.DecodeError as error:
        problem, _, path = str(error).partition(" - at `")
        path = path.rstrip("`")
        where = f"{what}: {path}" if path else what
        raise ConfigError(f"{where}: found {_complaint(problem, path, choices, text)}") from None


def _complaint(problem: str, path: str, choices: Mapping[str, tuple[str, ...]], text: bytes) -> str:
    choice = re.fullmatch(r"Invalid enum value (.*)", problem, re.DOTALL)
    if choice:
        return f"{choice[1]}; expected {' or '.join(choices[path.rpartition('.')[2]])}"
    for pattern, form in _FORMS:
        match = re.fullmatch(pattern, problem, re.DOTALL)
        if match:
            nothing = "JSON that ends too early" if text.strip() else "nothing"
            return match.expand(form).replace("{nothing}", nothing).replace("`", "")
    return f"a value that does not fit ({problem}); expected another"
