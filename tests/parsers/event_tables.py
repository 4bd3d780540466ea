"""What the tests of event tables share: traces in memory, files written and read."""

from types import SimpleNamespace

from anonvma_trace.events import TraceMetadata
from anonvma_trace.parsers import open_trace
from anonvma_trace.trace import Trace


def trace_of(batches, metadata=None):
    """Make a trace of record batches in memory."""
    stream = SimpleNamespace(
        format="ftrace",
        metadata=metadata or TraceMetadata(format="ftrace", source="a.ftrace"),
        losses=[],
        diagnostics=[],
        line_counts={},
        bytes_read=0,
        bytes_total=0,
        batches=lambda: iter(batches),
    )
    return Trace("a.ftrace", lambda: stream)


def rows_of(trace):
    """Return the rows of a trace as tuples, names as text."""
    return [tuple(row.values()) for row in trace.table.to_pylist()]


def rows_read(tmp_path, name, content, **options):
    """Write `content` to a file, read it; return the trace with its rows in `rows`, columns without nulls."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    trace = open_trace([str(path)], **options)
    rows = [
        {key: value for key, value in row.items() if value is not None} for row in trace.table.to_pylist()
    ]
    return trace, rows


def places(trace):
    """Return code, line, column and text of all losses of a trace."""
    return [(loss.code, *place) for loss in trace.losses for place in loss.places]
