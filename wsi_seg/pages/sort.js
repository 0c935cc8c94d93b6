"use strict";
// Tables of the class "sortable": a click on a heading sorts by its column, another one the other way round.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const said = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const compared = (a, b) => (isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, {numeric: true}) : a - b);
  heads.forEach((head, column) => {
    if (head.className === "fixed") return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows].sort((one, other) => {
        const [a, b] = [said(one, column), said(other, column)];
        return a === "" || b === "" ? (a === "") - (b === "") : sign * compared(a, b); // without a value: last
      });
      table.tBodies[0].append(...rows);
    });
  });
}
