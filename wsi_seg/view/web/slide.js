// The page of one slide.
import {Address} from "./address.js";
import {Classes} from "./classes.js";
import {Drawings} from "./drawings.js";
import {follow} from "./follow.js";
import {Here} from "./here.js";
import {listenToKeys} from "./keys.js";
import {Legend} from "./legend.js";
import {pyramid, PlacedDrawer} from "./pyramid.js";
import {Pointer} from "./pointer.js";
import {element, fetched, Notices} from "./page.js";

const AGAIN = 2000; // ms, while the result is being written
const SLOWLY = 4000; // ms, once nothing is: files may be replaced all the same
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
        address: (level, x, y) => `slide/${level}/${x}_${y}.jpg?opening=${about.opening}`,
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

function showRun({run}) {
  element("run").hidden = !run;
  element("run").textContent = run?.line ?? "";
}

/** Look once whether the page shows what is there now: more of a result that is being written is shown as it comes;
 * of files that have changed, the page begins anew. */
async function lookAgain(about, classes, failed) {
  if (!about.run && !failed && (await fetched("opening.json")).opening === about.opening) return SLOWLY;
  const now = await fetched("about.json");
  if (failed || now.opening !== about.opening) {
    location.reload();
    return null;
  }
  showRun(now);
  if (classes && now.run && now.run.done !== classes.done) classes.grow(now.run.done);
  return now.run ? AGAIN : SLOWLY;
}

/** Read what there is to show; the page begins once there is something. */
async function readFirst() {
  let about = null;
  const read = async () => {
    about = await fetched("about.json");
    return null;
  };
  await follow(read, notices);
  return about;
}

async function begin() {
  const about = await readFirst();
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
  showRun(about);
  follow((failed) => lookAgain(about, classes, failed), notices, about.run ? AGAIN : SLOWLY);
  if (about.outlines.shapes) await drawings.load(about);
  window.wsiSeg = {viewer, about, classes, drawings}; // for tests, and for the browser's console
}

begin().catch((error) => notices.add(error.message, true));
