"""Where the command ``anonvma-trace`` and ``python -m anonvma_trace`` begin."""

import sys


def main() -> None:
    """Run the command line; an interrupt while it is still being imported is quiet too."""
    try:
        from . import cli

        cli.main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
