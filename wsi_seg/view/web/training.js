// A training: its curves as they grow, then its scores, and what they are on, truth and prediction side by side.
import {curve} from "./curve.js";
import {follow} from "./follow.js";
import {element, fetched, made, Notices, rgb} from "./page.js";

const AGAIN = 5000; // ms, while it trains
const SLOWLY = 30_000; // ms, once it has
const notices = new Notices(element("notices"));
const score = (value) => (typeof value === "number" ? value.toFixed(3) : "-");
const last = (points) => (points.length ? points[points.length - 1] : [null, null]);

function drawState({state, quiet_seconds: quiet}) {
  element("state").textContent = state;
  element("state").className = `state${state === "not finished" ? " odd" : ""}`;
  const ago = quiet === null ? "no step so far" : quiet < 90 ? `${Math.round(quiet)} s` : `${Math.round(quiet / 60)} minutes`;
  element("last").textContent = state === "finished" ? "" : quiet === null ? ago : `last logged ${ago} ago`;
}

function drawTiles({curves, scores}) {
  const [step, loss] = last(curves.train_loss);
  const [, miou] = last(curves.val_miou);
  const figures = {
    "Mean IoU": score(scores ? scores.mean_iou : miou),
    "Mean Dice": score(scores?.mean_dice),
    "Pixel accuracy": score(scores?.pixel_accuracy),
    "Training loss": loss === null ? "-" : loss.toPrecision(3),
    Step: step === null ? "-" : step.toLocaleString("en"),
  };
  const tiles = Object.entries(figures).filter(([, value]) => value !== "-");
  element("tiles").replaceChildren(
    ...tiles.map(([name, value]) => {
      const tile = made("div");
      tile.append(made("dt", {text: name}), made("dd", {text: value}));
      return tile;
    }),
  );
}

function drawScores(scores) {
  element("scores").hidden = !scores;
  const which = scores?.kept_out === false ? "trained on" : "kept out of training";
  element("scored").textContent = `Scores on what was ${which}`;
  element("shown").textContent = `${which[0].toUpperCase()}${which.slice(1)}, the worst first`;
  const worstFirst = [...(scores?.classes ?? [])].sort((a, b) => (a.iou ?? 2) - (b.iou ?? 2));
  const rows = worstFirst.map((c) => {
    const row = made("tr");
    const name = made("th");
    const swatch = made("span", {className: "swatch"});
    if (c.color) swatch.style.background = rgb(c.color);
    name.append(swatch, made("bdi", {text: c.name}));
    row.append(name, ...["iou", "dice", "precision", "recall"].map((key) => made("td", {className: "number", text: score(c[key])})));
    return row;
  });
  element("by-class").replaceChildren(...rows);
}

function drawCurves(curves) {
  element("curves").replaceChildren(
    curve("Loss", [
      {name: "training", points: curves.train_loss},
      {name: "validation", points: curves.val_loss, dots: true},
    ]),
    curve("Mean IoU of the validation", [{name: "mean IoU", points: curves.val_miou, dots: true}], [0, 1]),
    curve("Learning rate", [{name: "learning rate", points: curves.learning_rate}]),
  );
}

/** Where an example lies on its slide, in the slide's page. */
function addressOf({number, x, y, width, height}) {
  const centre = [x + width / 2, y + height / 2].map(Math.round).join(",");
  return `s/${number}/#qupath=${centre}&downsample=${(Math.max(width, height) / 640).toPrecision(4)}`;
}

function figureOf(what, file, address) {
  const picture = made("img");
  picture.src = `picture/${file}`;
  picture.alt = what;
  picture.loading = "lazy";
  const figure = made("figure");
  const link = address && made("a", {title: "Open this place in the slide"});
  if (link) {
    link.href = address;
    link.append(picture);
  }
  figure.append(link || picture, made("figcaption", {text: what}));
  return figure;
}

function exampleOf({name, right, known, classes, place, pictures}) {
  const node = made("article", {className: "card"});
  const heading = made("h3", {text: name});
  const share = right === null ? "no known pixels" : `${(100 * right).toFixed(1)} % right, ${(100 * known).toFixed(0)} % known`;
  heading.append(made("span", {className: "state", text: share}));
  node.append(heading);
  const ious = made("p", {className: "muted"});
  classes.forEach((c, i) => ious.append(i ? " \u00b7 " : "", made("bdi", {text: c.name}), ` IoU\u00a0${score(c.iou)}`));
  if (classes.length) node.append(ious);
  const address = place && place.number !== null ? addressOf(place) : "";
  const three = made("div", {className: "three"});
  three.append(...Object.entries(pictures).map(([what, file]) => figureOf(what[0].toUpperCase() + what.slice(1), file, address)));
  node.append(three);
  if (address) {
    const line = made("p");
    line.append(Object.assign(made("a", {text: "Open this place in the slide"}), {href: address}));
    node.append(line);
  } else if (place) node.append(made("p", {className: "muted", text: `${place.slide}: the slide is no longer there`}));
  return node;
}

function drawExamples({examples, scores}) {
  element("examples").hidden = !examples.length;
  element("each").replaceChildren(...examples.map(exampleOf));
  const names = (scores?.classes ?? []).filter((c) => c.color).map((c) => {
    const item = made("li");
    const swatch = made("span", {className: "swatch"});
    swatch.style.background = rgb(c.color);
    item.append(swatch, made("bdi", {text: c.name}));
    return item;
  });
  element("classes").replaceChildren(...names);
}

let shown = "";

async function read() {
  const about = await fetched("about.json");
  document.title = `${about.name} - wsi-seg`;
  element("name").textContent = about.name;
  for (const line of about.notices) notices.add(line);
  drawState(about);
  const {curves, scores, examples, report} = about;
  const now = JSON.stringify({curves, scores, examples, report});
  if (now !== shown) {
    shown = now;
    drawTiles(about);
    drawScores(scores);
    drawCurves(curves);
    drawExamples(about);
    element("report").hidden = !report;
  }
  return about.running ? AGAIN : SLOWLY;
}

follow(read, notices);
