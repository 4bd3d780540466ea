"""Vega, Vega-Lite and Vega-Embed as one script, which vl-convert-python carries.

Putting the script together takes some five seconds, so it is kept in the user's cache, under the versions that it
is made of.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

_NAMES = "window.vegaEmbed = vegaEmbed;"  # all that a page calls


def vega_bundle() -> str:
    """Return the script; it gives the page `vegaEmbed`, and loads nothing."""
    name = f"vega-{version('vl-convert-python')}.js"
    directory = _cache_directory()
    if directory is not None:
        with suppress(OSError):
            kept = (directory / name).read_text(encoding="utf-8")
            if kept.endswith(_END):  # written whole
                return kept
    script = _made()
    if directory is not None:
        with (
            suppress(OSError),
            tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=directory, delete=False) as temporary,
        ):
            temporary.write(script)
            temporary.close()
            Path(temporary.name).replace(directory / name)
    return script


_END = "\n/* end of the bundle */\n"


def _made() -> str:
    import vl_convert

    # A closing tag in a string of the script would end the element that holds it.
    return (
        vl_convert.javascript_bundle(_NAMES).replace("</script", "<\\/script").replace("<!--", "<\\!--")
        + _END
    )


def _cache_directory() -> Path | None:
    """Return a folder of the user's that can be written, or None if there is none (then each report makes it anew)."""
    user_cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~").expanduser() / ".cache")
    for base in (Path(user_cache), Path(tempfile.gettempdir()) / f"cache-{os.getuid()}"):
        directory = base / "anonvma_trace" / "charts"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if directory.stat().st_uid == os.getuid() and os.access(directory, os.W_OK):
                return directory
        except OSError:
            continue
    return None
