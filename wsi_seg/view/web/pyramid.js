// Pictures as tiles: where each lies, and how OpenSeadragon draws it there.
const {CanvasDrawer, Point, Rect, TileSource} = window.OpenSeadragon;

/**
 * A picture of tiles for OpenSeadragon, which counts levels from the coarsest; the server counts from level 0,
 * the picture's own pixels, and below it. The last tiles of a level may end with part of a pixel: they reach
 * over the picture's edge by as much, so that each pixel is where it belongs.
 * `stretch` is a pixel's height over its width; `crisp` pixels, as those of classes, are never interpolated.
 */
export function pyramid({width, height, finest, coarsest, tile, stretch, address, crisp = false}) {
  const divided = 2 ** -finest;
  const source = new TileSource({
    width: width * divided,
    height: height * divided * stretch,
    tileSize: tile,
    minLevel: 0,
    maxLevel: coarsest - finest,
  });
  const served = (level) => coarsest - level;
  const size = (level) => {
    const step = 2 ** served(level);
    return {x: Math.ceil(width / step), y: Math.ceil(height / step), across: step / width};
  };
  source.getNumTiles = (level) => {
    const {x, y} = size(level);
    return new Point(Math.ceil(x / tile), Math.ceil(y / tile));
  };
  source.getTileAtPoint = (level, point) => {
    const {across} = size(level);
    const tiles = source.getNumTiles(level);
    const at = (value, pixel, most) => Math.min(Math.max(Math.floor(value / pixel / tile), 0), most - 1);
    return new Point(at(point.x, across, tiles.x), at(point.y, across * stretch, tiles.y));
  };
  source.getTileBounds = (level, x, y, isSource) => {
    const {x: wide, y: high, across} = size(level);
    const w = Math.min(tile, wide - x * tile);
    const h = Math.min(tile, high - y * tile);
    if (isSource) return new Rect(0, 0, w, h);
    const down = across * stretch;
    return new Rect(x * tile * across, y * tile * down, w * across, h * down);
  };
  source.getTileUrl = (level, x, y) => address(served(level), x, y);
  source.hasTransparency = () => true;
  source.crisp = crisp; // of the overview map's copy, too: it has the same source
  return source;
}

/**
 * Draws each tile from edge to edge, on whole pixels of the screen: without seams, and without the pixel that
 * OpenSeadragon adds to a tile's size.
 */
export class PlacedDrawer extends CanvasDrawer {
  _drawTile(tile, tiledImage, useSketch) {
    const rendered = tile.loaded && this.getDataToDraw(tile);
    if (!rendered) return;
    const whole = tiledImage.getBoundsNoRotate(true);
    const ratio = window.OpenSeadragon.pixelDensityRatio;
    const corner = (x, y) =>
      this.viewport.pixelFromPointNoRotate(new Point(whole.x + x * whole.width, whole.y + y * whole.width), true);
    const {x, y, width, height} = tile.bounds;
    const first = corner(x, y);
    const last = corner(x + width, y + height);
    const [x0, y0, x1, y1] = [first.x, first.y, last.x, last.y].map((value) => Math.round(value * ratio));
    const context = this._getContext(useSketch);
    context.save();
    context.imageSmoothingEnabled = !tiledImage.source.crisp;
    context.clearRect(x0, y0, x1 - x0, y1 - y0);
    const {width: w, height: h} = tile.sourceBounds ?? rendered.canvas;
    context.drawImage(rendered.canvas, 0, 0, w, h, x0, y0, x1 - x0, y1 - y0);
    context.restore();
  }
}
