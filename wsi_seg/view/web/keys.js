// The keyboard of the page, wherever its focus is. OpenSeadragon's own keys are off: they need the focus on the slide,
// go by a key's place on an American keyboard, and turn the slide.
const STEP = 60; // pixels of the screen
const WRITES = "textarea, select, [contenteditable], input:not([type=checkbox], [type=range])";

export function listenToKeys({legend, here}) {
  const does = {
    ArrowLeft: () => here.move(-STEP, 0),
    ArrowRight: () => here.move(STEP, 0),
    ArrowUp: () => here.move(0, -STEP),
    ArrowDown: () => here.move(0, STEP),
    "+": () => here.in(),
    "=": () => here.in(), // the same key without shift, on many keyboards
    "-": () => here.out(),
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
  // OpenSeadragon focuses the slide by itself when it is clicked: browsers take that for the keyboard's doing.
  document.addEventListener("pointerdown", () => document.body.classList.add("by-pointer"), true);
  document.addEventListener("keydown", (event) => {
    const {key, target} = event;
    if (key === "Tab") document.body.classList.remove("by-pointer");
    if (event.ctrlKey || event.altKey || event.metaKey || target.matches(WRITES) || !Object.hasOwn(does, key)) return;
    if (key.startsWith("Arrow") && target.matches("input[type=range]")) return; // they move the slider
    event.preventDefault(); // an arrow scrolls nothing besides
    does[key]();
  });
}
