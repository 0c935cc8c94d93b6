// A training: its curves as they grow, then its scores, and truth and prediction side by side.
import {curve} from "./curve.js";
import {element, fetched, made, Notices, rgb} from "./page.js";

const AGAIN = 5000; // ms, while it trains
const PICTURES = {
  "examples.png": "Kept out of training, the worst first: image, truth and prediction",
  "confusion.png": "Confusion matrix",
};
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
  const worstFirst = [...(scores?.classes ?? [])].sort((a, b) => (a.iou ?? 2) - (b.iou ?? 2));
  const rows = worstFirst.map((c) => {
    const row = made("tr");
    const name = made("th");
    const swatch = made("span", {className: "swatch"});
    if (c.color) swatch.style.background = rgb(c.color);
    name.append(swatch, made("span", {text: c.name}));
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

function drawPictures({pictures, report}) {
  element("report").hidden = !report;
  element("pictures").replaceChildren(
    ...pictures.flatMap((name) => {
      const picture = made("img");
      picture.src = `picture/${name}`;
      picture.alt = PICTURES[name];
      picture.loading = "lazy";
      return [made("h2", {text: PICTURES[name]}), picture];
    }),
  );
}

let shown = "";

async function read() {
  const about = await fetched("about.json");
  document.title = `${about.name} - wsi-seg`;
  element("name").textContent = about.name;
  for (const line of about.notices) notices.add(line);
  drawState(about);
  const {curves, scores, pictures, report} = about;
  const now = JSON.stringify({curves, scores, pictures, report});
  if (now !== shown) {
    shown = now;
    drawTiles(about);
    drawScores(scores);
    drawCurves(curves);
    drawPictures(about);
  }
  if (about.running) setTimeout(() => read().catch((error) => notices.add(error.message, true)), AGAIN);
}

read().catch((error) => notices.add(error.message, true));
