// The classes over the slide: which of them, as what, and how opaque.
import {pyramid} from "./pyramid.js";

const CONFIDENCE = "confidence";

export class Classes {
  constructor(viewer, about) {
    this.viewer = viewer;
    this.about = about;
    this.labels = about.labels;
    this.drawn = "areas";
    this.opacity = 0.5;
    this.hidden = new Set(about.legend.filter((c) => c.background).map((c) => c.id));
    this.image = null; // the look that is shown whole
    this.coming = null; // the next one, while its tiles come
    this.turn = 0; // how many looks were asked for
    this.settled = 0; // which of them is shown whole
    this.done = about.run?.done ?? 0; // of a result that is being written
    const map = viewer.navigator.world;
    map.addHandler("add-item", ({item}) => setTimeout(() => this.removeLate(map, item)));
  }

  /** Show the classes as they are set now; what is there stays until the new tiles are. */
  update() {
    const [dx, dy] = this.labels.downsample;
    const hidden = [...this.hidden].sort((a, b) => a - b).join(",");
    const look = `as=${this.drawn}&hidden=${hidden}&done=${this.done}&opening=${this.about.opening}`;
    const turn = ++this.turn;
    this.remove(this.coming);
    this.coming = null;
    this.viewer.addTiledImage({
      tileSource: pyramid({
        width: this.labels.width,
        height: this.labels.height,
        coarsest: this.labels.coarsest,
        finest: this.drawn === "outlines" ? this.labels.finest_outlines : this.labels.finest,
        tile: this.about.tile,
        stretch: dy / dx,
        crisp: true,
        address: (level, x, y) => `labels/${level}/${x}_${y}.png?${look}`,
      }),
      x: 0,
      y: 0,
      width: (this.labels.width * dx) / this.about.slide.width,
      opacity: this.shownOpacity(),
      success: ({item}) => {
        if (turn !== this.turn) this.remove(item);
        else this.show(item);
      },
    });
  }

  /** Let a look take the place of the one before, as soon as all its tiles in view are there. */
  show(item) {
    item.setOpacity(this.shownOpacity()); // it may have changed since the look was asked for
    this.coming = item;
    const settle = () => {
      if (this.coming !== item || !item.getFullyLoaded()) return;
      item.removeHandler("fully-loaded-change", settle);
      this.remove(this.image);
      [this.image, this.coming, this.settled] = [item, null, this.turn];
    };
    item.addHandler("fully-loaded-change", settle);
    settle();
  }

  /** Remove a look from the view, if there is one. */
  remove(item) {
    if (item) this.viewer.world.removeItem(item);
  }

  /** Remove a look's copy from the overview map, which gets it only after the look has gone. */
  removeLate(map, item) {
    if (this.viewer.world.getIndexOfItem(item._originalForNavigator) < 0) map.removeItem(item);
  }

  /** Show more of a result that is being written. */
  grow(done) {
    this.done = done;
    this.update();
  }

  shownOpacity() {
    return this.drawn === CONFIDENCE || this.drawn === "outlines" ? Math.min(1, this.opacity * 2) : this.opacity;
  }

  setOpacity(opacity) {
    this.opacity = opacity;
    for (let i = 1; i < this.viewer.world.getItemCount(); i++) {
      this.viewer.world.getItemAt(i).setOpacity(this.shownOpacity());
    }
  }

  draw(drawn) {
    if (drawn === CONFIDENCE && !this.labels.confidence) return;
    this.drawn = drawn;
    this.update();
  }

  toggle(id, shown) {
    if (shown) this.hidden.delete(id);
    else this.hidden.add(id);
    this.update();
  }
}
