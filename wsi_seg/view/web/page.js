// What pages share: finding elements, asking the server, and saying what is wrong.
export const element = (id) => document.getElementById(id);

/** Ask for a JSON document; an error has the server's line. */
export async function fetched(address) {
  let answer;
  try {
    answer = await fetch(address);
  } catch {
    throw new Error("wsi-seg view has ended: start it again, and open the address that it prints");
  }
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

/** Make an element with a class and a text, which is never read as markup. */
export function made(tag, {className = "", text = "", title = ""} = {}) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text) node.textContent = text;
  if (title) node.title = title;
  return node;
}

/** Lines at the top of a page; none is there twice. */
export class Notices {
  constructor(place) {
    this.place = place;
    this.said = new Set();
  }

  add(line, fault = false) {
    if (this.said.has(line)) return;
    this.said.add(line);
    this.place.append(made("p", {className: fault ? "notice fault" : "notice", text: line}));
  }

  remove(line) {
    if (!this.said.delete(line)) return;
    for (const node of [...this.place.children]) if (node.textContent === line) node.remove();
  }
}

export const rgb = (color) => `rgb(${color.join(", ")})`;

/** A name within a line: one that runs from right to left is kept from turning the figures beside it. */
export const isolated = (name) => (/[\u0590-\u08ff\ufb1d-\ufefc]/.test(name) ? `\u2068${name}\u2069` : name);

/** Write a share in per cent; one that rounds to none, but is not, as less than a tenth. */
export const percent = (share) => (share > 0 && share < 0.0005 ? "<0.1 %" : `${(100 * share).toFixed(1)} %`);

/** Write an area in mm2, for a column of them; one that rounds to none, but is not, as less than the last digit. */
export function mm2(area) {
  if (area === null || area === undefined) return "";
  if (area > 0 && area < 0.00005) return "<0.0001";
  const digits = area >= 100 || area === 0 ? 0 : area >= 10 ? 1 : area >= 1 ? 2 : area >= 0.1 ? 3 : 4;
  return area.toFixed(digits);
}

/** Write an area with as many digits as tell something. */
export function area(mm2) {
  if (mm2 === null || mm2 === undefined) return "";
  if (mm2 >= 0.1 || mm2 === 0) return `${mm2.toFixed(mm2 >= 100 ? 0 : mm2 >= 10 ? 1 : 2)} mm\u00b2`;
  const um2 = mm2 * 1e6;
  return `${um2 >= 10 ? Math.round(um2).toLocaleString("en") : um2.toPrecision(2)} um\u00b2`;
}
