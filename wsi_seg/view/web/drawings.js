// Outlines over the slide, drawn by the browser: those of annotation files, and that of the polygon pointed at.
import {element, fetched, rgb} from "./page.js";

const SMALLEST = 1.5; // pixels of the screen: a smaller shape is a dot

export class Drawings {
  constructor(viewer, canvas) {
    this.viewer = viewer;
    this.canvas = canvas;
    this.shapes = [];
    this.pointed = null;
    this.shown = true;
    for (const event of ["open", "animation", "resize", "update-viewport"]) viewer.addHandler(event, () => this.draw());
  }

  async load(about) {
    const files = about.files.join(", ");
    element("drawn-section").hidden = false;
    element("drawn-text").textContent = `${about.shapes.toLocaleString("en")} of ${files}`;
    element("drawn-shown").addEventListener("change", (event) => {
      this.shown = event.target.checked;
      this.draw();
    });
    this.shapes = (await fetched("outlines.json")).map((shape) => ({...shape, ...pathOf(shape.rings)}));
    this.draw();
  }

  /** Mark a polygon, given by its rings; none if there is none. */
  mark(rings) {
    this.pointed = rings && pathOf(rings);
    this.draw();
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

  draw() {
    const {viewport} = this.viewer;
    if (!viewport || !this.viewer.world.getItemCount()) return;
    const ratio = window.devicePixelRatio;
    const {clientWidth, clientHeight} = this.canvas;
    if (this.canvas.width !== Math.round(clientWidth * ratio)) this.canvas.width = Math.round(clientWidth * ratio);
    if (this.canvas.height !== Math.round(clientHeight * ratio)) this.canvas.height = Math.round(clientHeight * ratio);
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const width = this.viewer.world.getItemAt(0).source.dimensions.x;
    const origin = viewport.pixelFromPoint(new window.OpenSeadragon.Point(0, 0), true);
    const scale = (viewport.getContainerSize().x * viewport.getZoom(true)) / width;
    context.setTransform(scale * ratio, 0, 0, scale * ratio, origin.x * ratio, origin.y * ratio);
    const seen = [-origin.x, -origin.y, clientWidth - origin.x, clientHeight - origin.y].map((at) => at / scale);
    if (this.shown) this.drawShapes(context, seen, scale);
    if (this.pointed) {
      stroke(context, this.pointed.path, 5 / scale, "#fff");
      stroke(context, this.pointed.path, 2.5 / scale, "#111");
    }
  }

  drawShapes(context, [left, top, right, bottom], scale) {
    for (const {path, box: [x0, y0, x1, y1], color} of this.shapes) {
      if (x1 < left || x0 > right || y1 < top || y0 > bottom) continue;
      const size = Math.max(x1 - x0, y1 - y0) * scale;
      if (size < SMALLEST) {
        context.fillStyle = rgb(color);
        context.fillRect(x0, y0, 2 / scale, 2 / scale);
      } else {
        stroke(context, path, 3.5 / scale, "rgba(255, 255, 255, 0.7)");
        stroke(context, path, 2 / scale, rgb(color));
      }
    }
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
