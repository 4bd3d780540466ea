"""The notebooks of the documentation run from a clean kernel, and what they show is what comes out.

``python -m tests.test_docs_notebooks`` runs them and writes their outputs anew; look at what changed before it is
committed.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from anonvma_trace import compare_schemes

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
LONGEST_S = 60


def run(path: Path, folder: Path) -> nbformat.NotebookNode:
    """Run a notebook from a clean kernel, in a folder that holds nothing."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    return notebook


def numbers_shown(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """Return the numbers of each cell's outputs as text: how a table is framed is left to Polars."""
    shown = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts = [
                output.get("text") or output.data["text/plain"]
                for output in cell.outputs
                if "image/svg+xml" not in output.get("data", {})
            ]
            shown.append(re.findall(r"\d+(?:\.\d+)?", "".join(texts)))
    return shown


@pytest.fixture(autouse=True)
def no_files_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture(scope="module")
def compiled_schemes():
    """Keep the machine code of every scheme before the clock starts: compiling all takes minutes, once."""
    compare_schemes("tiny-sh")


def test_there_are_two_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["fork-server", "merge-refusals"]


@pytest.mark.compiled
@pytest.mark.usefixtures("compiled_schemes")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_a_clean_kernel_and_shows_what_is_in_the_file(path: Path, tmp_path: Path):
    folder = tmp_path / "empty"
    folder.mkdir()
    started = time.perf_counter()
    done = run(path, folder)
    assert time.perf_counter() - started < LONGEST_S
    assert numbers_shown(done) == numbers_shown(nbformat.read(path, as_version=4))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_holds_outputs_and_no_path_of_the_machine_that_made_them(path: Path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/svg+xml" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error"]
    assert not re.search(r"/(?:home|tmp|root|usr|work|var)/", str(outputs))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_chart_of_a_notebook_has_a_text_for_those_who_do_not_see_it(path: Path):
    for cell in nbformat.read(path, as_version=4).cells:
        shows_chart = any("image/svg+xml" in output.get("data", {}) for output in cell.get("outputs", ()))
        assert shows_chart == bool(cell.metadata.get("alt"))


def rewrite() -> None:
    """Write every notebook with the outputs of a run."""
    import tempfile

    for path in NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            done = run(path, Path(folder))
        for cell in done.cells:
            for output in cell.get("outputs", ()):
                if "data" in output:  # text is enough: HTML differs with every version of Polars
                    output.data.pop("text/html", None)
        del done.metadata["language_info"]
        nbformat.write(done, path)


if __name__ == "__main__":
    rewrite()
