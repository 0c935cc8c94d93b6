// The legend: classes on and off, what is drawn of them, opacity, and what is said of the result.
import {element, made, mm2, percent, rgb} from "./page.js";

const SAID = {
  confidence: "The denser the orange, the less sure the model is.",
  outlines: "Borders of the classes, pixel by pixel.",
  areas: "",
};

export class Legend {
  constructor(about, classes, address) {
    this.about = about;
    this.classes = classes;
    this.address = address;
    this.boxes = new Map();
    this.listRemarks();
    element("panel-button").addEventListener("click", () => this.togglePanel());
    if (window.matchMedia("(max-width: 720px)").matches) this.togglePanel(false);
    if (!classes) return;
    element("looks").hidden = false;
    this.fillTable();
    this.listen();
    address.classes = this;
    this.shown();
  }

  listRemarks() {
    const {status, model, remarks} = this.about;
    const lines = [status && `Status: ${status}`, model && `Model: ${model}`, ...remarks].filter(Boolean);
    element("remarks-section").hidden = !lines.length;
    for (const line of lines) element("remarks").append(made("li", {text: line}));
  }

  fillTable() {
    const body = element("legend").tBodies[0];
    const found = [...this.about.legend].sort((a, b) => a.background - b.background || (b.mm2 ?? 0) - (a.mm2 ?? 0));
    for (const c of found) {
      const box = made("input");
      box.type = "checkbox";
      box.addEventListener("change", () => this.change(() => this.classes.toggle(c.id, box.checked)));
      this.boxes.set(c.id, box);
      const swatch = made("span", {className: "swatch"});
      swatch.style.background = rgb(c.color);
      const label = made("label");
      label.append(box, swatch, made("bdi", {text: c.name}));
      const name = made("th");
      name.append(label);
      const share = c.share === null ? "" : percent(c.share);
      const row = made("tr", {className: c.mm2 === 0 ? "absent" : ""});
      row.append(name, made("td", {className: "number", text: mm2(c.mm2)}));
      row.append(made("td", {className: "number", text: share}));
      body.append(row);
    }
    if (this.about.unprocessed_mm2 > 0) this.addHatched(body, "Could not be read", mm2(this.about.unprocessed_mm2));
    if (this.about.run?.stage === "segmenting") this.addHatched(body, "Not done yet", "");
  }

  addHatched(body, says, size) {
    const row = made("tr");
    const name = made("th");
    name.append(made("span", {className: "swatch hatched"}), made("span", {text: says}));
    row.append(name, made("td", {className: "number", text: size}), made("td"));
    body.append(row);
  }

  listen() {
    const drawn = [...document.querySelectorAll("[data-drawn]")];
    for (const button of drawn) {
      const kind = button.dataset.drawn;
      if (kind === "confidence" && !this.about.labels.confidence) {
        button.disabled = true;
        button.title = "This result has none: wsi-seg predict --confidence writes it";
      }
      button.addEventListener("click", () => this.draw(kind));
    }
    element("opacity").addEventListener("input", () => this.setOpacity(Number(element("opacity").value) / 100));
    element("all-classes").addEventListener("click", () => this.showOnly((c) => !c.background));
    element("no-classes").addEventListener("click", () => this.showOnly(() => false));
  }

  draw(kind) {
    this.change(() => this.classes?.draw(kind));
  }

  setOpacity(opacity) {
    if (!this.classes) return;
    this.classes.setOpacity(Math.min(1, Math.max(0, opacity)));
    this.shown();
    this.address.write();
  }

  showOnly(wanted) {
    this.change(() => {
      this.classes.hidden = new Set(this.about.legend.filter((c) => !wanted(c)).map((c) => c.id));
      this.classes.update();
    });
  }

  /** Hide all classes, or bring back the opacity from before. */
  hide() {
    if (!this.classes) return;
    const before = this.before ?? 0.5;
    if (this.classes.opacity > 0) this.before = this.classes.opacity;
    this.setOpacity(this.classes.opacity > 0 ? 0 : before);
  }

  change(does) {
    if (!this.classes) return;
    does();
    this.shown();
    this.address.write();
  }

  /** Bring the controls to what is set. */
  shown() {
    const {hidden, opacity, drawn} = this.classes;
    for (const [id, box] of this.boxes) box.checked = !hidden.has(id);
    element("opacity").value = String(Math.round(100 * opacity));
    element("opacity-text").textContent = `${Math.round(100 * opacity)} %`;
    element("said-of-look").textContent = SAID[drawn];
    for (const button of document.querySelectorAll("[data-drawn]")) {
      button.setAttribute("aria-pressed", String(button.dataset.drawn === drawn));
    }
  }

  readFrom(asked) {
    const numbers = (asked.get("hidden") ?? "").split(",").filter(Boolean).map(Number);
    if (asked.has("hidden")) this.classes.hidden = new Set(numbers.filter((id) => this.boxes.has(id)));
    const drawn = asked.get("as");
    if (Object.hasOwn(SAID, drawn) && (drawn !== "confidence" || this.about.labels.confidence)) this.classes.drawn = drawn;
    const opacity = Number.parseFloat(asked.get("opacity"));
    if (opacity >= 0 && opacity <= 1) this.classes.opacity = opacity;
    this.classes.update();
    this.shown();
  }

  writeTo(state) {
    state.set("as", this.classes.drawn);
    state.set("opacity", this.classes.opacity.toFixed(2));
    state.set("hidden", [...this.classes.hidden].sort((a, b) => a - b).join(","));
  }

  togglePanel(open = document.body.classList.contains("no-panel")) {
    document.body.classList.toggle("no-panel", !open);
    element("panel-button").setAttribute("aria-expanded", String(open));
  }
}
