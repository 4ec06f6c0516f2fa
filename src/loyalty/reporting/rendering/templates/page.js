// The page works without this; it adds sorting, the choice of dark colours, and a table of contents that folds.
"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // Dark or light: the system's choice until the button is pressed; remembered as long as the page is open.
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => button.setAttribute("aria-pressed", String(dark()));
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    show();
  });
  system.addEventListener("change", show);
  button.hidden = false;
  show();

  // Contents: beside the page where it is wide, folded where the screen is narrow, open on paper.
  const contents = document.getElementById("contents");
  const narrow = matchMedia("screen and (max-width: 67.99rem)");
  const fold = () => { contents.open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && narrow.matches) contents.open = false;
  });

  // On paper they are open.
  addEventListener("beforeprint", () => { contents.open = true; });
  addEventListener("afterprint", fold);

  // The section in view is marked in the contents.
  const links = new Map(all("a", contents).map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting || !links.has(target.id)) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -80% 0px" });
  for (const section of all("main > section")) watcher.observe(section);

  // Only boxes that do scroll stop the tabulator key.
  const boxes = all(".scroll");
  const stops = () => {
    for (const box of boxes) {
      if (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  addEventListener("resize", stops);
  document.addEventListener("toggle", stops, true);
  button.addEventListener("click", stops);
  stops();

  // Sorting: by the values, not by how they are written; equal ones keep their order, missing ones are last.
  const announcement = document.getElementById("announcement");
  const collator = new Intl.Collator(root.lang, { numeric: true, sensitivity: "base" });
  const orders = { number: (a, b) => (a < b ? -1 : a > b ? 1 : 0), text: collator.compare };

  function sort(table, heading) {
    const column = heading.cellIndex;
    const numbers = heading.dataset.kind === "number";
    const before = heading.getAttribute("aria-sort");
    const descending = before ? before === "ascending" : numbers;
    const rows = [...table.tBodies[0].rows].map((row, place) => {
      const value = row.cells[column].dataset.value;
      return { row, place, value: numbers && value !== undefined ? Number(value) : value };
    });
    rows.sort((a, b) => {
      if (a.value === undefined || b.value === undefined) {
        return (a.value === undefined) - (b.value === undefined) || a.place - b.place;
      }
      const order = orders[numbers ? "number" : "text"](a.value, b.value);
      return (descending ? -order : order) || a.place - b.place;
    });
    table.tBodies[0].append(...rows.map(({ row }) => row));
    for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    announcement.textContent = descending ? heading.dataset.down : heading.dataset.up;
  }

  for (const table of all("table[data-sortable]")) {
    for (const heading of table.tHead.rows[0].cells) {
      const press = document.createElement("button");
      press.type = "button";
      press.append(...heading.childNodes);
      press.addEventListener("click", () => sort(table, heading));
      heading.append(press);
    }
  }
})();
