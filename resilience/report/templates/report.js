(() => {
  // Filter and sort of long tables; without it the page is whole, and in the order in which it is to be read.
  const text = (row, at) => { const cell = row.cells[at]; return cell ? (cell.dataset.v || cell.textContent).trim() : ""; };
  for (const table of document.querySelectorAll("table.find")) {
    const body = table.tBodies[0];
    if (!body || body.rows.length < 12) continue;
    const box = document.createElement("input");
    box.type = "search"; box.className = "find-in";
    box.placeholder = `Filter ${body.rows.length} rows`; box.setAttribute("aria-label", box.placeholder);
    table.parentNode.before(box);
    box.addEventListener("input", () => {
      const wanted = box.value.toLowerCase();
      for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      if (!head.textContent) return;
      head.setAttribute("role", "button"); head.tabIndex = 0;
      const sort = () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...body.rows].sort((a, b) => text(a, at).localeCompare(text(b, at), "en", { numeric: true }));
        if (!up) rows.reverse();
        body.append(...rows);
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
    });
  }
})();
