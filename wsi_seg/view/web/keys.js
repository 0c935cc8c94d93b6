// The keyboard. Arrows, plus and minus are OpenSeadragon's own; its keys that turn the slide are left out.
const TURNS = new Set(["r", "R", "f", "F"]);

export function listenToKeys(viewer, {legend, here}) {
  const does = {
    a: () => legend.draw("areas"),
    o: () => legend.draw("outlines"),
    c: () => legend.draw("confidence"),
    h: () => legend.hide(),
    "[": () => legend.setOpacity(legend.classes?.opacity - 0.1),
    "]": () => legend.setOpacity(legend.classes?.opacity + 0.1),
    l: () => legend.togglePanel(),
    q: () => here.copyForQuPath(),
    0: () => here.fit(),
    1: () => here.one(),
  };
  viewer.addHandler("canvas-key", (event) => {
    const key = event.originalEvent.key;
    if (TURNS.has(key) || key in does || "wasdWASD".includes(key)) event.preventDefaultAction = true;
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches("input[type=range]")) return;
    does[event.key]?.();
  });
}
