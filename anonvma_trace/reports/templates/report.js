"use strict";
/* Draws the charts, switches light and dark, sorts and searches tables. All text goes in as textContent. */
(() => {
  const page = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
  const views = new Map();

  const theme = () => page.dataset.theme || (prefersDark.matches ? "dark" : "light");

  async function draw(id, name) {
    const element = document.getElementById(id);
    const height = element.offsetHeight;
    element.style.minHeight = `${height}px`; // the page does not jump while a chart is replaced
    views.get(id)?.finalize();
    const options = {
      mode: "vega-lite", renderer: "svg", config: data.themes[name], tooltip: { theme: name },
      ast: true, // expressions are interpreted: the page forbids itself to make code of text
      actions: { export: true, source: false, compiled: false, editor: false },
    };
    views.set(id, await window.vegaEmbed(element, structuredClone(data.charts[id]), options));
    element.style.minHeight = "";
  }

  async function drawAll(name) {
    page.dataset.drawn = "";
    for (const id of Object.keys(data.charts)) {
      await draw(id, name);
      if (name !== shown) return; // switched meanwhile: the later call draws all
    }
    page.dataset.drawn = name;
  }

  let shown = theme();
  function show(name) {
    shown = name;
    button.textContent = name === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${name === "dark" ? "light" : "dark"}`);
    return drawAll(name);
  }

  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", () => {
    page.dataset.theme = theme() === "dark" ? "light" : "dark";
    show(page.dataset.theme);
  });
  prefersDark.addEventListener("change", () => { if (!page.dataset.theme) show(theme()); });

  /* What a cell is sorted by: numbers as numbers, "<0.1 %" just above nothing, a dash below everything. */
  function sortKey(cell, isNumber) {
    const text = cell ? cell.textContent.trim() : "";
    if (!isNumber) return text;
    if (text.startsWith("0x")) return Number(text);
    const number = Number.parseFloat(text.replace(/[,<>]/g, ""));
    return Number.isNaN(number) ? -Infinity : text.startsWith("<") ? number / 2 : text.startsWith(">") ? number + 0.05 : number;
  }

  function sort(table, column, heading) {
    const isNumber = heading.classList.contains("n");
    const before = heading.getAttribute("aria-sort");
    const descending = before ? before === "ascending" : isNumber;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => [sortKey(row.cells[column], isNumber), row]);
    const compare = isNumber ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en", { numeric: true });
    keyed.sort(([a], [b]) => (a === b ? 0 : descending ? compare(b, a) : compare(a, b)));
    body.append(...keyed.map(([, row]) => row));
  }

  function search(table, text, found) {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...table.tBodies[0].rows];
    let count = 0;
    for (const row of rows) {
      const content = [...row.cells].map((cell) => cell.textContent.toLowerCase()).join("\n");
      row.hidden = !words.every((word) => content.includes(word));
      if (!row.hidden) count += 1;
    }
    found.textContent = words.length ? `${count} of ${rows.length} rows` : "";
  }

  for (const table of document.querySelectorAll("table")) {
    if (table.tBodies[0].rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const sorter = document.createElement("button");
      sorter.type = "button";
      sorter.append(...heading.childNodes);
      sorter.addEventListener("click", () => sort(table, column, heading));
      heading.append(sorter);
    });
    if (table.tBodies[0].rows.length < 8) continue;
    const field = document.createElement("input");
    const found = document.createElement("span");
    Object.assign(field, { type: "search", placeholder: "Search rows", className: "find" });
    field.setAttribute("aria-label", "Search the rows of this table");
    found.className = "found";
    found.setAttribute("role", "status");
    field.addEventListener("input", () => search(table, field.value, found));
    table.parentElement.before(field, found);
  }

  /* Paper is white: draw for it, and again as it was. */
  window.addEventListener("beforeprint", () => { if (shown === "dark") { page.dataset.printing = theme(); page.dataset.theme = "light"; show("light"); } });
  window.addEventListener("afterprint", () => { if (page.dataset.printing) { page.dataset.theme = page.dataset.printing; delete page.dataset.printing; show(theme()); } });

  show(shown);
})();
