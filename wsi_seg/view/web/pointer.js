// What lies under the pointer, or under a finger that taps: coordinates, class, polygon, outline.
import {area, element, fetched, isolated, made} from "./page.js";

const REST = 80; // ms that the pointer must rest before the server is asked

export class Pointer {
  constructor(viewer, about, {drawings, here, hidden}) {
    Object.assign(this, {viewer, about, drawings, here, hidden});
    this.turn = 0;
    const place = element("viewer");
    // A finger that is lifted leaves, too: what it tapped stays.
    const notTouched = (then) => (event) => event.pointerType !== "touch" && then(event);
    place.addEventListener("pointermove", notTouched((event) => this.move(event)));
    place.addEventListener("pointerleave", notTouched(() => this.leave()));
    viewer.addHandler("canvas-click", (event) => event.quick && this.move(event.originalEvent, 0));
    for (const event of ["viewport-change", "resize"]) viewer.addHandler(event, () => this.moved());
  }

  move(event, rest = REST) {
    const place = element("viewer").getBoundingClientRect();
    const pixel = new window.OpenSeadragon.Point(event.clientX - place.left, event.clientY - place.top);
    this.touched = event.pointerType === "touch";
    this.here.point(pixel);
    if (this.here.at()) this.wait(rest);
    else this.hide();
  }

  /** The view moves under the pointer: what lies there is another place now. A finger has been lifted, or it moves the view. */
  moved() {
    this.hide();
    if (this.touched) this.here.point(null);
    else if (this.here.at()) this.wait(REST);
  }

  /** Ask what lies there as soon as neither pointer nor view have moved for a while. */
  wait(rest) {
    const turn = ++this.turn;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(this.here.at(), this.here.pointed, turn), rest);
  }

  async ask(at, pixel, turn) {
    const found = this.about.labels
      ? await fetched(`at.json?x=${at.x.toFixed(2)}&y=${at.y.toFixed(2)}&opening=${this.about.opening}`).catch((error) => ({fault: error.message}))
      : {};
    if (turn !== this.turn) return;
    const drawn = this.drawings.at(at.x, at.y);
    const lines = [...this.linesOf(found), ...(drawn ? [`Outline: ${isolated(drawn.class ?? "without a class")}, ${this.areaOf(drawn.area_px)}`] : [])];
    const polygon = found.polygon;
    this.drawings.mark(polygon?.outline && !this.hidden().has(found.id) ? polygon.outline : null);
    this.show(lines, pixel);
    if (polygon?.reading) setTimeout(() => turn === this.turn && this.ask(at, pixel, turn), 500);
  }

  linesOf({fault, class: name, confidence, polygon}) {
    if (fault) return [fault];
    // A confidence of 0 is none: no model has looked there.
    const sureHere = confidence === undefined ? "" : confidence ? `, confidence here ${confidence.toFixed(2)}` : ", not segmented";
    const lines = name ? [isolated(name) + sureHere] : [];
    if (polygon?.reading) lines.push("Reading the polygons ...");
    if (polygon?.fault) lines.push(polygon.fault);
    if (polygon?.class) {
      const sure = polygon.confidence === null ? "" : `, mean confidence ${polygon.confidence.toFixed(2)}`;
      lines.push(`Polygon: ${isolated(polygon.class)}, ${area(polygon.area_um2 / 1e6)}${sure}`);
    }
    return lines;
  }

  areaOf(pixels) {
    const {mpp} = this.about;
    return mpp ? area((pixels * mpp[0] * mpp[1]) / 1e6) : `${Math.round(pixels)} px`;
  }

  show(lines, pixel) {
    const tip = element("tip");
    tip.replaceChildren(...lines.map((text) => made("div", {text})));
    tip.hidden = !lines.length;
    const {clientWidth, clientHeight} = element("viewer");
    tip.style.left = `${Math.max(8, Math.min(pixel.x + 16, clientWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(8, Math.min(pixel.y + 16, clientHeight - tip.offsetHeight - 8))}px`;
  }

  hide() {
    this.turn++;
    clearTimeout(this.timer);
    element("tip").hidden = true;
    this.drawings.mark(null);
  }

  leave() {
    this.hide();
    this.here.point(null);
  }
}
