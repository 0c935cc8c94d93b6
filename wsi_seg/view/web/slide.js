// The page of one slide.
import {Address} from "./address.js";
import {Classes} from "./classes.js";
import {Drawings} from "./drawings.js";
import {Here} from "./here.js";
import {listenToKeys} from "./keys.js";
import {Legend} from "./legend.js";
import {pyramid, PlacedDrawer} from "./pyramid.js";
import {Pointer} from "./pointer.js";
import {element, fetched, Notices} from "./page.js";

const AGAIN = 2000; // ms, while the result is being written
const notices = new Notices(element("notices"));

function viewerOf(about) {
  const OpenSeadragon = window.OpenSeadragon;
  const gestures = {clickToZoom: false, dblClickToZoom: true, flickEnabled: true, pinchRotate: false};
  return OpenSeadragon({
    element: element("viewer"),
    drawer: PlacedDrawer,
    tileSources: {
      tileSource: pyramid({
        ...about.slide,
        tile: about.tile,
        stretch: 1,
        address: (level, x, y) => `slide/${level}/${x}_${y}.jpg`,
      }),
    },
    showNavigationControl: false,
    keyboardNavEnabled: false, // keys.js has the keys
    showNavigator: true,
    navigatorPosition: "TOP_LEFT",
    navigatorSizeRatio: 0.16,
    navigatorAutoFade: false,
    gestureSettingsMouse: gestures,
    gestureSettingsTouch: gestures,
    gestureSettingsPen: gestures,
    smoothTileEdgesMinZoom: Infinity,
    minPixelRatio: 0.7, // the nearest level, not the next finer one
    maxZoomPixelRatio: 16,
    minZoomImageRatio: 0.5,
    visibilityRatio: 0.2,
    animationTime: 0.35,
    blendTime: 0,
    imageLoaderLimit: 6,
    maxImageCacheCount: 300,
  });
}

async function tellOfFailedTile(event) {
  const answer = await fetch(event.tile.getUrl()).catch(() => null);
  if (answer === null) notices.add("wsi-seg view has ended: start it again, and open the address that it prints", true);
  else if (!answer.ok) notices.add(await answer.text(), true);
}

/** Follow a result that is being written; at its next stage, the page begins anew with what is there then. */
function follow(about, classes) {
  element("run").hidden = !about.run;
  if (!about.run) return;
  element("run").textContent = about.run.line;
  setTimeout(async () => {
    try {
      const now = await fetched("about.json");
      if (now.run?.stage !== about.run.stage) location.reload();
      else if (classes && now.run.done !== about.run.done) classes.grow(now.run.done);
      follow(now, classes);
    } catch (error) {
      notices.add(error.message, true);
    }
  }, AGAIN);
}

async function begin() {
  const about = await fetched("about.json");
  document.title = `${about.name} - wsi-seg`;
  element("name").textContent = about.name;
  element("name").title = about.path;
  element("back").hidden = !about.back;
  element("back").textContent = about.back ?? "";
  for (const line of about.notices) notices.add(line);

  const viewer = viewerOf(about);
  viewer.addHandler("tile-load-failed", tellOfFailedTile);
  const address = new Address(viewer, about);
  const classes = about.labels && new Classes(viewer, about);
  const drawings = new Drawings(viewer, element("drawn"));
  const here = new Here(viewer, about, address);
  const legend = new Legend(about, classes, address);
  new Pointer(viewer, about, {drawings, here, hidden: () => classes?.hidden ?? new Set()});
  listenToKeys({legend, here});
  if (about.outlines.shapes) await drawings.load(about.outlines);
  follow(about, classes);
  window.wsiSeg = {viewer, about, classes, drawings}; // for tests, and for the browser's console
}

begin().catch((error) => notices.add(error.message, true));
