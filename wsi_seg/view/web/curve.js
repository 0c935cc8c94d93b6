// Line charts, drawn as SVG by the browser.
import {made} from "./page.js";

const [WIDE, HIGH] = [640, 220];
const [LEFT, RIGHT, TOP, BOTTOM] = [52, 12, 28, 26];

function svg(tag, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** Round values between two, about `count` of them. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((s) => s * power >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const most = Math.floor(high / step + 1e-9);
  return Array.from({length: most - first + 1}, (_, i) => (first + i) * step);
}

/** A chart of series of [step, value], with a heading; a series alone is not named. */
export function curve(heading, series, range) {
  const figure = made("figure", {className: "curve"});
  figure.append(made("h2", {text: heading}));
  const known = series.filter(({points}) => points.length);
  if (!known.length) {
    figure.append(made("p", {className: "muted", text: "Nothing so far."}));
    return figure;
  }
  const values = known.flatMap(({points}) => points.map(([, value]) => value));
  const most = Math.max(...known.map(({points}) => points[points.length - 1][0]), 1);
  let [low, high] = range ?? [Math.min(0, ...values), Math.max(...values)];
  if (high <= low) high = low + 1;
  const x = (step) => LEFT + ((WIDE - LEFT - RIGHT) * step) / most;
  const y = (value) => TOP + (HIGH - TOP - BOTTOM) * (1 - (value - low) / (high - low));
  const chart = svg("svg", {viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": heading});
  for (const value of ticks(low, high, 4)) {
    chart.append(svg("line", {class: "grid", x1: LEFT, x2: WIDE - RIGHT, y1: y(value), y2: y(value)}));
    const short = value !== 0 && Math.abs(value) < 0.001; // 0.000015 has no place
    const text = short ? Number(value.toPrecision(3)).toExponential() : Number(value.toPrecision(3)).toString();
    chart.append(svg("text", {x: LEFT - 6, y: y(value) + 4, "text-anchor": "end"}, text));
  }
  for (const step of ticks(0, most, 5)) {
    chart.append(svg("text", {x: x(step), y: HIGH - 6, "text-anchor": "middle"}, step.toLocaleString("en")));
  }
  known.forEach(({name, points, dots}, number) => {
    const path = points.map(([step, value], i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    chart.append(svg("path", {class: `series series-${number}`, d: path}));
    if (dots && points.length < 60) {
      for (const [step, value] of points) chart.append(svg("circle", {class: `dot-${number}`, cx: x(step), cy: y(value), r: 3}));
    }
    if (known.length > 1) {
      chart.append(svg("text", {class: `name-${number}`, x: LEFT + 90 * number, y: 14}, name));
    }
  });
  figure.append(chart);
  return figure;
}
