"""What the tests of ftrace text share: lines as the kernel prints them, and the rows they become."""

from anonvma_trace.parsers import ftrace
from anonvma_trace.parsers.native_stream import NativeStream
from anonvma_trace.parsers.source import open_source


def line(event, tid=100, ts="1.000001", cpu=0, comm="sh", tgid=None):
    """Return one line of ftrace text, padded as the kernel pads it."""
    process = "" if tgid is None else f" ({tgid:>7})"
    return f"{comm:>16}-{tid:<7}{process} [{cpu:03}] .....{ts:>13}: {event}"


def lines(*events):
    """Return a trace of (event, keyword arguments) pairs or plain events, one microsecond apart."""
    text = []
    for number, event in enumerate(events):
        what, where = event if isinstance(event, tuple) else (event, {})
        text.append(what if where is None else line(what, **{"ts": f"1.{number:06}", **where}))
    return "\n".join(text) + "\n"


def stream_of(tmp_path, *texts, maps=(), form=ftrace.FORMAT):
    """Open texts as the parts of one recording."""
    sources = []
    for number, text in enumerate(texts):
        path = tmp_path / f"part{number}.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        sources.append(open_source(str(path)))
    return NativeStream(form, sources, [str(argument) for argument in maps])


def rows_of(stream):
    """Return the rows as dictionaries without their nulls."""
    return [
        {name: value for name, value in row.items() if value is not None}
        for batch in stream.batches()
        for row in batch.to_pylist()
    ]


def short_rows(stream, *columns):
    """Return of each row the op and some columns, None where there is no value."""
    return [(row["op"], *(row.get(column) for column in columns)) for row in rows_of(stream)]


def codes_of(stream):
    """Return the codes of a stream's diagnostics, once its batches were read."""
    return [diagnostic.code for diagnostic in stream.diagnostics]
