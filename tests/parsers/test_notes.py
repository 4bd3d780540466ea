"""What a parser assumed or left out, in words."""

import numpy as np
import pytest

from anonvma_trace.parsers.notes import MESSAGES, Notes


def messages_of(**counts):
    notes = Notes()
    for code, count in counts.items():
        notes.add(code.replace("_", "-"), count)
    return [diagnostic.message for diagnostic in notes.diagnostics()]


@pytest.mark.parametrize(
    ("count", "begins"),
    [
        (1, "1 exec has no snapshot of the new image:"),
        (2, "2 execs have no snapshot of the new image:"),
    ],
)
def test_one_is_told_in_the_singular(count, begins):
    (message,) = messages_of(exec_without_image=count)
    assert message.startswith(begins)


@pytest.mark.parametrize("code", MESSAGES)
@pytest.mark.parametrize("count", [1, 2])
def test_no_message_shows_its_own_notation(code, count):
    (message,) = messages_of(**{code: count})
    assert not set(message) & set("[]{}|")


def test_the_first_line_and_the_name_are_told():
    notes = Notes()
    notes.count("call-not-replayed", np.array([7, 9]), "mlockall")
    (told,) = notes.diagnostics()
    assert told.line == 7
    assert told.message.startswith("2 calls of mlockall changed nothing in the replay: the event table")
