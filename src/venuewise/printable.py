"""Text from outside, made harmless for a terminal: the one definition of what is escaped, and how.

A name, a key or a file may hold characters that a terminal obeys (escape sequences, C1 controls, line breaks) or that
turn what stands around them (bidi marks). All of them are shown as their escapes, never passed on.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """Return text on one line in which whatever is not printable stands as its escape.

    Examples
    --------
    >>> print(printable("AAPL" + chr(0x9B) + "2J"))
    AAPL\\x9b2J
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_json(line: bytes) -> str:
    """Return JSON on one line with the same in its strings as its own escapes: it means what it meant.

    Examples
    --------
    >>> print(printable_json('{"symbol":"\u202e"}'.encode()))
    {"symbol":"\\u202e"}
    """
    text = line.decode(errors="replace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
