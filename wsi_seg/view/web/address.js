// The view in the page's address, so that it can be kept and sent: where, how near, and what of the classes.
export class Address {
  constructor(viewer, about) {
    this.viewer = viewer;
    this.about = about;
    this.classes = null;
    viewer.addHandler("open", () => this.read());
    viewer.addHandler("animation-finish", () => this.write());
    window.addEventListener("hashchange", () => this.read());
  }

  /** QuPath's coordinates of a point of the viewport, as OpenSeadragon counts: the slide's width is 1. */
  toQuPath(point) {
    return {x: point.x * this.about.slide.width, y: point.y * this.about.slide.width};
  }

  toViewport(x, y) {
    return new window.OpenSeadragon.Point(x / this.about.slide.width, y / this.about.slide.width);
  }

  /** Slide pixels along one of the screen's (CSS) pixels. */
  downsample(current = true) {
    const zoom = this.viewer.viewport.getZoom(current);
    return this.about.slide.width / (zoom * this.viewer.viewport.getContainerSize().x);
  }

  view() {
    const centre = this.toQuPath(this.viewer.viewport.getCenter(false));
    return {x: centre.x, y: centre.y, downsample: this.downsample(false)};
  }

  go(x, y, downsample, at_once = true) {
    const viewport = this.viewer.viewport;
    viewport.zoomTo(this.about.slide.width / (downsample * viewport.getContainerSize().x), null, at_once);
    viewport.panTo(this.toViewport(x, y), at_once);
    viewport.applyConstraints(at_once);
  }

  read() {
    const asked = new URLSearchParams(location.hash.slice(1));
    const [x, y] = (asked.get("qupath") ?? "").split(",").map(Number.parseFloat);
    const downsample = Number.parseFloat(asked.get("downsample"));
    if (this.classes) this.classes.readFrom(asked);
    if (![x, y, downsample].every(Number.isFinite) || downsample <= 0) return;
    const {width, height} = this.about.slide;
    this.go(near(x, width), near(y, height), downsample);
  }

  write() {
    const {x, y, downsample} = this.view();
    const state = new URLSearchParams();
    state.set("qupath", `${Math.round(x)},${Math.round(y)}`);
    state.set("downsample", downsample.toPrecision(4));
    if (this.classes) this.classes.writeTo(state);
    history.replaceState(null, "", `#${state.toString().replaceAll("%2C", ",")}`);
  }
}

/** A coordinate; one that is far off the slide, on its edge: OpenSeadragon does not find back from 1e300. A view's
 * centre may lie beside the slide. */
function near(value, length) {
  return Math.abs(value) < 100 * length ? value : Math.min(Math.max(value, 0), length);
}
