// Where the view is: scale bar, coordinates in both frames, resolution, and what goes on the clipboard.
import {element} from "./page.js";

const LONGEST_BAR = 180;

export class Here {
  constructor(viewer, about, address) {
    this.viewer = viewer;
    this.about = about;
    this.address = address;
    this.pointed = null; // a pixel of the viewer: what lies there changes as the view moves
    for (const event of ["open", "animation", "resize", "animation-finish"]) viewer.addHandler(event, () => this.update());
    element("copy-qupath").addEventListener("click", () => this.copyForQuPath());
    element("copy-link").addEventListener("click", () => this.copy(location.href, "The address of this view"));
    for (const button of document.querySelectorAll("[data-does]")) {
      button.addEventListener("click", () => this[button.dataset.does]());
    }
  }

  /** Show what lies at a pixel of the viewer, or at the centre of the view if there is none. */
  point(pixel) {
    this.pointed = pixel;
    this.update();
  }

  /** The point of the QuPath frame at that pixel; null if there is none, or if the slide is elsewhere. */
  at() {
    if (!this.pointed || !this.viewer.world.getItemCount()) return null;
    const {x, y} = this.address.toQuPath(this.viewer.viewport.pointFromPixel(this.pointed, true));
    const {width, height} = this.about.slide;
    return x < 0 || y < 0 || x >= width || y >= height ? null : {x, y};
  }

  update() {
    if (!this.viewer.world.getItemCount()) return;
    const {x, y} = this.at() ?? this.address.view();
    const {bounds} = this.about;
    element("qupath-xy").textContent = `${Math.floor(x)}, ${Math.floor(y)}`;
    element("slide-xy").textContent = `${Math.floor(x + bounds.x)}, ${Math.floor(y + bounds.y)}`;
    const downsample = this.address.downsample();
    element("downsample").textContent = downsample.toPrecision(3);
    element("mpp").textContent = this.mppText(downsample);
    this.drawScale(downsample);
  }

  /** Micrometres per pixel of the screen and of the slide: across and down, where they differ. */
  mppText(downsample) {
    const {mpp} = this.about;
    if (!mpp) return "not stated";
    const sides = this.isSquare() ? [mpp[0]] : mpp;
    const written = (by, digits) => sides.map((side) => (by * side).toPrecision(digits)).join(" x ");
    return `${written(downsample, 3)} (slide: ${written(1, 4)})`;
  }

  /** Whether pixels are as wide as high, but for what a scanner's calibration makes of it. */
  isSquare() {
    const {mpp} = this.about;
    return !mpp || Math.abs(mpp[1] / mpp[0] - 1) < 0.005;
  }

  /** A bar of 1, 2 or 5 times a power of ten, no longer than `LONGEST_BAR` pixels. */
  drawScale(downsample) {
    const unit = downsample * (this.about.mpp?.[0] ?? 1);
    const most = LONGEST_BAR * unit;
    const power = 10 ** Math.floor(Math.log10(most));
    const length = power * [5, 2, 1].find((step) => step * power <= most);
    element("scale-bar").style.width = `${length / unit}px`;
    const inMm = this.about.mpp && length >= 1000;
    const unitName = !this.about.mpp ? "px" : inMm ? "mm" : "um";
    const across = this.isSquare() ? "" : " across"; // a bar that stands up would have another length
    element("scale-text").textContent = `${inMm ? length / 1000 : Number(length.toPrecision(1))} ${unitName}${across}`;
  }

  copyForQuPath() {
    const {x, y, downsample} = this.address.view();
    const lines = [
      `getCurrentViewer().setDownsampleFactor(${downsample.toPrecision(5)})`,
      `getCurrentViewer().setCenterPixelLocation(${x.toFixed(1)}, ${y.toFixed(1)})`,
    ];
    this.copy(lines.join("\n"), "Two lines for QuPath's script editor, which show this place there");
  }

  async copy(text, what) {
    try {
      await navigator.clipboard.writeText(text);
      element("copied").textContent = `${what}: copied`;
    } catch {
      element("copied").textContent = text; // to be copied by hand
    }
  }

  in() {
    this.zoom(2);
  }

  out() {
    this.zoom(0.5);
  }

  /** Move the view by pixels of the screen. */
  move(x, y) {
    this.viewer.viewport.panBy(this.viewer.viewport.deltaPointsFromPixels(new window.OpenSeadragon.Point(x, y)));
    this.viewer.viewport.applyConstraints();
  }

  zoom(by) {
    this.viewer.viewport.zoomBy(by);
    this.viewer.viewport.applyConstraints();
  }

  fit() {
    this.viewer.viewport.goHome();
  }

  one() {
    const {x, y} = this.address.view();
    this.address.go(x, y, 1 / window.OpenSeadragon.pixelDensityRatio, false);
  }
}
