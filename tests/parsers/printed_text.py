"""What the tests of strace and perf trace share: texts as files, and what they become."""

from anonvma_trace.parsers import open_trace


def trace_of(tmp_path, *texts, name="part", **options):
    """Write texts as the parts of one recording and open them."""
    paths = []
    for number, text in enumerate(texts):
        path = tmp_path / (name if len(texts) == 1 else f"{name}.{number}")
        path.write_text(text)
        paths.append(str(path))
    return open_trace(paths, **options)


def rows_of(trace, *columns):
    """Return of each row the op and some columns, None where there is no value."""
    return [(row["op"], *(row[column] for column in columns)) for row in trace.table.to_pylist()]


def codes_of(trace):
    """Return the codes of the diagnostics of a trace, once it was read."""
    return [diagnostic.code for diagnostic in trace.diagnostics]


def places_of(trace):
    """Return code, line and column of all losses."""
    return [(loss.code, *place[:2]) for loss in trace.losses for place in loss.places]
