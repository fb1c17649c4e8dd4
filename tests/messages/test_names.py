"""Names keep the codes of their first coming, however many there are and whoever brings them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from venuewise.messages.names import NO_ROOM, Names, find_name, number_name


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=4), st.booleans()), max_size=300))
def test_a_name_keeps_its_code_and_a_new_one_gets_the_next(said: list[tuple[str, bool]]) -> None:
    names, expected = Names(), dict[str, int]()
    for name, by_kernel in said:
        text = np.frombuffer(f"<{name}>".encode(), np.uint8)
        code = number_name(text, 1, len(text) - 1, names.table) if by_kernel else NO_ROOM
        if code == NO_ROOM:
            code = names.code(name)
        assert code == expected.setdefault(name, len(expected))
    assert names.known() == tuple(expected)


def test_ten_thousand_names_are_found_again_and_others_are_not() -> None:
    names = Names(f"S{i}" for i in range(10_000))
    assert names.code("S4321") == 4321
    assert len(names.known()) == 10_000
    for name, code in (("S9999", 9999), ("S10000", -1), ("", -1)):
        text = np.frombuffer(name.encode(), np.uint8)
        assert find_name(text, 0, len(text), names.table) == code
    assert len(names.known()) == 10_000
