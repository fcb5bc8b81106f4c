"use strict";
(() => {
  const id = (name) => document.getElementById(name);
  const main = id("main"), grid = id("grid"), field = id("filter"), count = id("count"), none = id("none");
  const marks = [...grid.querySelectorAll("a.mark[data-group]")];
  const chips = [...grid.querySelectorAll(".chip")];
  const rows = [...grid.querySelectorAll("[role=grid] tbody tr")];
  const shown = (each) => each.offsetParent !== null && each.style.visibility !== "hidden";

  // The filter: every word must be found, and where verdicts are pressed, one of them.
  function filter() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const groups = chips.filter((c) => c.getAttribute("aria-pressed") === "true").map((c) => c.dataset.group);
    const all = words.length === 0 && groups.length === 0;
    let found = 0;
    for (const mark of marks) {
      const fits = all || ((groups.length === 0 || groups.includes(mark.dataset.group))
        && words.every((word) => mark.dataset.words.includes(word)));
      mark.classList.toggle("off", !fits);
      found += fits;
    }
    for (const row of rows) row.hidden = row.querySelector("a.mark:not(.off)") === null;
    for (const table of grid.querySelectorAll("[role=grid]")) {
      table.hidden = table.querySelector("tbody tr:not([hidden])") === null;
    }
    count.textContent = all ? "" : `${found} of ${marks.length} cells`;
    none.hidden = found > 0 || all;
    rove(marks.find((each) => !each.classList.contains("off")));
  }

  // One stop of the Tab key for each table; arrows move inside.
  function rove(to) {
    for (const table of grid.querySelectorAll("[role=grid]")) {
      const own = [...table.querySelectorAll("a.mark")];
      const stop = own.includes(to) ? to
        : own.find((each) => each.tabIndex === 0 && !each.classList.contains("off"))
        || own.find((each) => !each.classList.contains("off"));
      for (const each of own) if (each !== stop) each.tabIndex = -1;
      if (stop) stop.tabIndex = 0;
    }
  }
  function place(mark) {
    const cell = mark.closest("td");
    return [rows.indexOf(cell.parentElement), cell.cellIndex];
  }
  function at(row, column) {
    const cell = rows[row] && rows[row].cells[column];
    const mark = cell && cell.querySelector("a.mark:not(.off)");
    return mark && shown(mark) ? mark : null;
  }
  function step(mark, down, right) {
    let [row, column] = place(mark);
    for (;;) {
      row += down; column += right;
      if (row < 0 || row >= rows.length || column < 0 || column > 64) return null;
      const found = at(row, column) || (down && firstOf(row, column));
      if (found) return found;
    }
  }
  function firstOf(row, column) {
    // Another table may have fewer columns: the nearest cell of its row will do.
    if (rows[row].hidden) return null;
    const own = [...rows[row].querySelectorAll("a.mark:not(.off)")].filter(shown);
    return own.sort((a, b) => Math.abs(place(a)[1] - column) - Math.abs(place(b)[1] - column))[0] || null;
  }
  function keyed(event) {
    const mark = event.target.closest("a.mark[data-group]");
    if (!mark || event.ctrlKey || event.metaKey || event.altKey) return;
    const own = [...mark.closest("tr").querySelectorAll("a.mark:not(.off)")].filter(shown);
    const bad = marks.filter((e) => shown(e) && !e.classList.contains("off")
      && !["ok", "impossible"].includes(e.dataset.group));
    const to = {
      ArrowRight: () => step(mark, 0, 1), ArrowLeft: () => step(mark, 0, -1),
      ArrowDown: () => step(mark, 1, 0), ArrowUp: () => step(mark, -1, 0),
      Home: () => own[0], End: () => own[own.length - 1],
      n: () => bad.find((e) => marks.indexOf(e) > marks.indexOf(mark)) || bad[0],
    }[event.key];
    const found = to && to();
    if (to) event.preventDefault();
    if (found) { rove(found); found.focus(); }
  }

  // The panel of the cell that the address names.
  let from = null, opened = null;
  function open() {
    let name = "";
    try { name = decodeURIComponent(location.hash.slice(1)); } catch { return; }
    const panel = id(name);
    for (const each of grid.querySelectorAll("a.mark.open")) each.classList.remove("open");
    opened = panel && panel.classList.contains("detail") ? panel : null;
    main.inert = opened !== null && matchMedia("(max-width: 40rem)").matches;
    if (opened === null) {
      if (from) { from.focus({ preventScroll: true }); from = null; }
      return;
    }
    const mark = id("at-" + name);
    if (mark) { mark.classList.add("open"); rove(mark); from = from || mark; }
    opened.querySelector("h2").focus({ preventScroll: true });
    opened.scrollTop = 0;
  }
  function close() {
    // The place in the page stays: no anchor is jumped to.
    const [x, y] = [scrollX, scrollY];
    location.hash = "";
    scrollTo(x, y);
  }

  main.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link) from = link;
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest(".close")) { event.preventDefault(); close(); }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && opened) { event.preventDefault(); close(); }
    else if (event.key === "Escape" && event.target === field) { field.value = ""; filter(); }
  });
  grid.addEventListener("keydown", keyed);
  field.addEventListener("input", filter);
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  id("all").addEventListener("click", () => {
    field.value = "";
    for (const chip of chips) chip.setAttribute("aria-pressed", "false");
    filter();
    field.focus();
  });
  addEventListener("hashchange", open);
  id("tools").hidden = false;
  rove(marks[0]);
  open();
})();
