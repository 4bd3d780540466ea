"""Benchmarks of the replay: ``python -m benchmarks`` from the top of the tree; ``docs/performance.md`` tells more."""
