# Recipes for developers; `just --list` shows them.

python := ".venv/bin/python"

# A virtual environment with the package (editable) and the developers' tools
setup:
    python3 -m venv .venv
    .venv/bin/pip install --quiet --editable '.[dev]'

# Lint, types, import contracts
check:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .
    .venv/bin/mypy
    .venv/bin/lint-imports

# The tests; arguments go to pytest
test *arguments:
    .venv/bin/pytest {{ arguments }}

# All that must hold before a change lands, in fresh environments
ci:
    .ci/run

# Every figure of docs/performance.md, as ratios, in one run
bench *arguments:
    {{ python }} -m benchmarks {{ arguments }}

# The user guide as a site, shown anew at each change of a page
docs:
    .venv/bin/pip install --quiet --editable '.[docs]'
    .venv/bin/mkdocs serve

# Run the notebooks and write their outputs, and draw the pictures of docs/refusals-and-misses.md
notebooks:
    {{ python }} -m tests.test_docs_notebooks
    {{ python }} docs/site/pictures.py
