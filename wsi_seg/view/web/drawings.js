// Outlines over the slide, drawn by the browser: those of annotation files, and that of the polygon pointed at.
import {element, fetched, rgb} from "./page.js";

const SMALLEST = 12; // pixels of the screen: a smaller shape is drawn as its box, which takes a hundredth of the time
const HALOED = 40; // a larger one has a white line around its own
const SLOW = 80; // ms: what takes longer to draw is drawn once a movement has ended

export class Drawings {
  constructor(viewer, canvas) {
    this.viewer = viewer;
    this.canvas = canvas;
    this.shapes = [];
    this.pointed = null;
    this.shown = true;
    this.layer = document.createElement("canvas"); // the outlines of files: not drawn anew where only the pointer moves
    this.took = 0;
    for (const event of ["open", "animation-finish", "resize"]) viewer.addHandler(event, () => this.draw());
    // Of each frame: also of those in which the view moves, and of those in which only a tile has come.
    viewer.addHandler("update-viewport", () => this.draw(this.took > SLOW && this.moves(), true));
  }

  async load({outlines, opening}) {
    const files = outlines.files.join(", ");
    element("drawn-section").hidden = false;
    element("drawn-text").textContent = `${outlines.shapes.toLocaleString("en")} of ${files}`;
    element("drawn-shown").addEventListener("change", (event) => {
      this.shown = event.target.checked;
      this.draw();
    });
    this.shapes = (await fetched(`outlines.json?opening=${opening}`)).map((shape) => ({...shape, ...pathOf(shape.rings)}));
    this.draw();
  }

  /** Mark a polygon, given by its rings; none if there is none. */
  mark(rings) {
    if (!rings && !this.pointed) return;
    this.pointed = rings && pathOf(rings);
    this.show();
  }

  /** The smallest of the outlines around a point of the QuPath frame. */
  at(x, y) {
    if (!this.shown) return null;
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    const around = ({box: [x0, y0, x1, y1], path}) =>
      x >= x0 && x <= x1 && y >= y0 && y <= y1 && context.isPointInPath(path, x, y, "evenodd");
    return this.shapes.filter(around).sort((a, b) => a.area_px - b.area_px)[0] ?? null;
  }

  /** Draw everything; without the outlines of files while the view still moves, if they take long. A frame in which
   * nothing has moved is not drawn again. */
  draw(moving = false, ifMoved = false) {
    const place = this.place();
    if (!place) return;
    const drawn = JSON.stringify({...place, moving});
    if (ifMoved && drawn === this.drawn) return;
    this.drawn = drawn;
    const [context, seen, scale] = prepared(this.layer, place);
    if (this.shown && !moving && this.shapes.length) {
      const begun = performance.now();
      drawShapes(context, this.shapes, seen, scale);
      this.took = performance.now() - begun;
    }
    this.show(place);
  }

  /** Show what was drawn, and the polygon pointed at over it. */
  show(place = this.place()) {
    if (!place) return;
    const [context, , scale] = prepared(this.canvas, place);
    if (this.layer.width && this.layer.height) {
      context.save();
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.drawImage(this.layer, 0, 0);
      context.restore();
    }
    if (this.pointed) {
      stroke(context, this.pointed.path, 5 / scale, "#fff");
      stroke(context, this.pointed.path, 2.5 / scale, "#111");
    }
  }

  /** Whether the view is on its way to another place; OpenSeadragon says so a frame late. */
  moves() {
    const {viewport} = this.viewer;
    const [now, then] = [true, false].map((current) => viewport.getBounds(current));
    return Math.hypot(now.x - then.x, now.y - then.y) > 1e-4 * then.width || Math.abs(now.width - then.width) > 1e-4 * then.width;
  }

  /** Where the slide lies on the canvas: its corner, and pixels of the screen for one of its own. */
  place() {
    const {viewport} = this.viewer;
    if (!viewport || !this.viewer.world.getItemCount()) return null;
    const width = this.viewer.world.getItemAt(0).source.dimensions.x;
    return {
      origin: viewport.pixelFromPoint(new window.OpenSeadragon.Point(0, 0), true),
      scale: (viewport.getContainerSize().x * viewport.getZoom(true)) / width,
      size: [this.canvas.clientWidth, this.canvas.clientHeight],
    };
  }
}

/** Empty a canvas and have it draw in QuPath's pixels; also return the rectangle that it shows. */
function prepared(canvas, {origin, scale, size}) {
  const ratio = window.devicePixelRatio;
  const [width, height] = size.map((side) => Math.round(side * ratio));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  context.setTransform(scale * ratio, 0, 0, scale * ratio, origin.x * ratio, origin.y * ratio);
  const seen = [-origin.x, -origin.y, size[0] - origin.x, size[1] - origin.y].map((at) => at / scale);
  return [context, seen, scale];
}

function drawShapes(context, shapes, [left, top, right, bottom], scale) {
  for (const {path, box: [x0, y0, x1, y1], color} of shapes) {
    if (x1 < left || x0 > right || y1 < top || y0 > bottom) continue;
    const size = Math.max(x1 - x0, y1 - y0) * scale;
    if (size < SMALLEST) {
      context.fillStyle = rgb(color);
      context.fillRect(x0, y0, Math.max(x1 - x0, 2 / scale), Math.max(y1 - y0, 2 / scale));
      continue;
    }
    if (size > HALOED) stroke(context, path, 3.5 / scale, "rgba(255, 255, 255, 0.7)");
    stroke(context, path, 2 / scale, rgb(color));
  }
}

function stroke(context, path, width, style) {
  context.lineWidth = width;
  context.lineJoin = "round";
  context.strokeStyle = style;
  context.stroke(path);
}

function pathOf(rings) {
  const path = new Path2D();
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 2) {
      const [x, y] = [ring[i], ring[i + 1]];
      if (i === 0) path.moveTo(x, y);
      else path.lineTo(x, y);
      box[0] = Math.min(box[0], x);
      box[1] = Math.min(box[1], y);
      box[2] = Math.max(box[2], x);
      box[3] = Math.max(box[3], y);
    }
    path.closePath();
  }
  return {path, box};
}
