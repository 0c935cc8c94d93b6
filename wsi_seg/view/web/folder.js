// A folder of results: a card for each slide, sorted and found as asked for, kept up to date while a batch runs.
import {follow} from "./follow.js";
import {area, element, fetched, made, Notices, percent, rgb} from "./page.js";

const AGAIN = 10_000; // ms, while a batch runs
const SLOWLY = 30_000; // ms, once none does: results may be made again, or removed
const WRONG = new Set(["failed", "cannot be used"]);
const ODD = new Set(["not finished", "waiting", "finished, with unreadable parts left unprocessed"]);

const notices = new Notices(element("notices"));
const sorted = {by: "slide", down: false};
const cards = new Map(); // by what they say: a card that is there already keeps its picture
let rows = [];

const KEYS = {
  slide: titleOf,
  state: (row) => row.state,
  "tissue area": (row) => row.tissue_mm2,
  unprocessed: (row) => row.unprocessed_mm2,
};

function keyOf(row) {
  if (sorted.by in KEYS) return KEYS[sorted.by](row);
  return row.classes.find((c) => `share of ${c.name}` === sorted.by)?.share;
}

function compared(one, other) {
  const [a, b] = [keyOf(one), keyOf(other)];
  const [none, noOther] = [a === undefined || a === null, b === undefined || b === null];
  if (none || noOther) return none - noOther; // without a value: last
  const order = typeof a === "number" ? a - b : a.localeCompare(b, undefined, {numeric: true});
  return sorted.down ? -order : order;
}

/** The slide's file; where its result has another name, as of DICOM, that first. */
function titleOf({slide, result}) {
  return result && !slide.startsWith(result) ? `${result} (${slide})` : slide;
}

function cardOf(row) {
  const said = JSON.stringify(row);
  if (!cards.has(said)) cards.set(said, card(row));
  return cards.get(said);
}

function card(row) {
  const node = made("article", {className: "card result"});
  const linked = row.number !== undefined;
  const place = linked ? made("a", {className: "thumbnail"}) : made("span", {className: "thumbnail"});
  if (linked) {
    place.href = `s/${row.number}/`;
    if (row.pictured) {
      const picture = made("img");
      picture.src = `picture/${row.number}?version=${row.version}`;
      picture.alt = "";
      picture.loading = "lazy";
      place.append(picture);
    }
  }
  const said = made("div");
  const heading = made("h3");
  const name = made(linked ? "a" : "span", {text: titleOf(row)});
  if (linked) name.href = `s/${row.number}/`;
  const kind = WRONG.has(row.state) ? " bad" : ODD.has(row.state) ? " odd" : "";
  heading.append(name, made("span", {className: `state${kind}`, text: row.state}));
  said.append(heading);
  if (row.line) {
    const className = kind === " bad" ? "notice fault" : row.state === "running" ? "muted" : "notice";
    said.append(made("p", {className, text: row.line}));
  }
  const facts = [row.model, row.tissue_mm2 !== undefined && `classified: ${area(row.tissue_mm2)}`];
  if (row.unprocessed_mm2) facts.push(`could not be read: ${area(row.unprocessed_mm2)}`);
  if (row.familiarity && row.familiarity !== "familiar") facts.push(`familiarity: ${row.familiarity}`);
  if (row.outlines?.length) facts.push(`outlines: ${row.outlines.join(", ")}`);
  said.append(made("p", {className: "muted", text: facts.filter(Boolean).join(" · ")}));
  if (row.classes.length) said.append(bar(row.classes), list(row.classes));
  node.append(place, said);
  return node;
}

function bar(classes) {
  const node = made("div", {className: "stack"});
  for (const c of classes.filter(({share}) => share > 0)) {
    const part = made("span", {title: `${c.name}: ${percent(c.share)}`});
    part.style.width = `${100 * c.share}%`;
    part.style.background = rgb(c.color);
    node.append(part);
  }
  return node;
}

function list(classes) {
  const node = made("ul", {className: "legend"});
  for (const c of classes.filter(({share}) => share > 0).sort((a, b) => b.share - a.share)) {
    const item = made("li");
    const swatch = made("span", {className: "swatch"});
    swatch.style.background = rgb(c.color);
    item.append(swatch, made("bdi", {text: c.name}), ` ${percent(c.share).replace(" ", "\u00a0")}`);
    node.append(item);
  }
  return node;
}

function fillSort() {
  const names = new Set(rows.flatMap((row) => row.classes.map((c) => `share of ${c.name}`)));
  const wanted = [...Object.keys(KEYS), ...names];
  const select = element("sort");
  if ([...select.options].map((option) => option.value).join("\n") === wanted.join("\n")) return;
  select.replaceChildren(...wanted.map((by) => Object.assign(made("option", {text: by}), {value: by})));
  select.value = wanted.includes(sorted.by) ? sorted.by : "slide";
}

function draw() {
  const asked = element("find").value.toLowerCase();
  const found = rows.filter((row) => `${titleOf(row)} ${row.state} ${row.line ?? ""}`.toLowerCase().includes(asked));
  element("rows").replaceChildren(...found.sort(compared).map(cardOf));
  const wrong = rows.filter((row) => WRONG.has(row.state)).length;
  const count = `${rows.length} ${rows.length === 1 ? "slide" : "slides"}`;
  const going = ["running", "waiting"].map((state) => [rows.filter((row) => row.state === state).length, state]);
  const left = going.filter(([many]) => many).map(([many, state]) => `, ${many} ${state}`);
  element("count").textContent = count + left.join("") + (wrong ? `, ${wrong} with errors` : "") + (asked ? `; ${found.length} found` : "");
}

async function read() {
  const about = await fetched("about.json");
  document.title = `${about.name} - wsi-seg`;
  element("name").textContent = about.name;
  for (const line of about.notices) notices.add(line);
  const before = JSON.stringify(rows);
  rows = about.rows;
  const said = new Set(rows.map((row) => JSON.stringify(row)));
  for (const known of cards.keys()) if (!said.has(known)) cards.delete(known);
  if (JSON.stringify(rows) !== before) {
    fillSort();
    draw();
  }
  return about.running ? AGAIN : SLOWLY;
}

element("sort").addEventListener("change", (event) => {
  sorted.by = event.target.value;
  sorted.down = !["slide", "state"].includes(sorted.by);
  draw();
});
element("turn").addEventListener("click", () => {
  sorted.down = !sorted.down;
  draw();
});
element("find").addEventListener("input", draw);
follow(read, notices);
