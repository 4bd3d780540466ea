"""What the site needs beside MkDocs: notebooks as pages, and no page that loads anything from elsewhere.

A notebook ``notebooks/NAME.ipynb`` becomes the page ``notebooks/NAME.md``: its text as it is, its code with the outputs
that are in the file, charts as SVG files beside the page.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

LOADED = re.compile(
    r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^\"'\s>]*"
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page, and its charts, for each notebook; the notebook itself stays beside it, to be downloaded."""
    for file in [each for each in files if each.src_uri.endswith(".ipynb")]:
        assert file.abs_src_path is not None
        notebook = json.loads(Path(file.abs_src_path).read_text(encoding="utf-8"))
        page = file.src_uri.removesuffix(".ipynb")
        text, charts = notebook_page(notebook, Path(page).name)
        for name, svg in charts.items():
            files.append(File.generated(config, f"{Path(page).parent}/{name}", content=svg))
        files.append(File.generated(config, f"{page}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to notebooks lead to their pages, but for that by which a page offers its own notebook."""
    own = Path(page.file.src_uri).with_suffix(".ipynb").name
    return re.sub(rf"\]\((?!{re.escape(own)}\))([^)]*)\.ipynb\)", r"](\1.md)", markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Refuse a page that would load something from another place than the site itself."""
    found = [tag for tag in LOADED.findall(output) if 'rel="canonical"' not in tag]
    if found:
        raise PluginError(f"{page.file.src_uri}: loads from elsewhere: {found[0]}")
    return output


def notebook_page(notebook: dict[str, Any], name: str) -> tuple[str, dict[str, str]]:
    """Return a notebook as Markdown, and the SVG files that it shows by their names."""
    parts: list[str] = []
    charts: dict[str, str] = {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/svg+xml" in data:
                file = f"{name}-{len(charts) + 1}.svg"
                charts[file] = "".join(data["image/svg+xml"])
                parts.append(f"![Chart: {cell['metadata']['alt']}]({file})")
            else:
                text = "".join(output.get("text") or data["text/plain"])
                parts.append(f"```text\n{text.rstrip()}\n```")
    parts.append(f"[The notebook itself]({name}.ipynb), to run it.")
    return "\n\n".join(parts) + "\n", charts
