// The keyboard: every key with what it does, for the help card and for the page.

const click = (id) => ({ element }) => element(id).click();
const plane = (name) => () => document.querySelector(`[data-plane="${name}"]`).click();
const tool = (name) => ({ pick }) => pick(name);

function turn(select) {
  return ({ element }) => {
    const list = element(select);
    list.selectedIndex = (list.selectedIndex + 1) % list.options.length;
    list.dispatchEvent(new Event(select === "overlay" ? "input" : "change"));
  };
}

function otherVisit({ room, open }) {
  const { visits, shown, participant } = room.scene;
  const at = visits.findIndex((v) => v.name === shown);
  open(participant, visits[(at + 1) % visits.length].name);
}

const KEYS = [
  ["a", "accept the label map", click("accept")],
  ["r", "reject it", click("reject")],
  ["s", "save the correction", click("save")],
  ["n", "next visit that waits", click("next")],
  ["c", "write a comment (Escape leaves it)", ({ element }) => element("comment").focus()],
  ["x", "judge and correct the other visit", otherVisit],
  ["j", "next lesion", ({ goTo, room }) => goTo(room.lesion + 1)],
  ["k", "lesion before", ({ goTo, room }) => goTo(room.lesion - 1)],
  ["1", "three planes", plane("multi")],
  ["2", "sagittal", plane("sagittal")],
  ["3", "coronal", plane("coronal")],
  ["4", "axial", plane("axial")],
  ["5", "surfaces with thickness", plane("surface")],
  ["f", "flicker between the visits", click("flicker")],
  ["h", "overlay: outline, fill, off", turn("overlay")],
  ["q", "space of the femur, tibia, patella", turn("bone")],
  ["t", "thick slices", turn("slab")],
  ["ArrowLeft", "one slice to the left", ({ move }) => move([-1, 0, 0])],
  ["ArrowRight", "one slice to the right", ({ move }) => move([1, 0, 0])],
  ["ArrowUp", "one slice up", ({ move }) => move([0, 0, 1])],
  ["ArrowDown", "one slice down", ({ move }) => move([0, 0, -1])],
  ["PageUp", "one slice forward", ({ move }) => move([0, 1, 0])],
  ["PageDown", "one slice back", ({ move }) => move([0, -1, 0])],
  ["v", "look: move the crosshair", tool("look")],
  ["b", "brush", tool("brush")],
  ["e", "eraser", tool("eraser")],
  ["g", "grow to intensity", tool("grow")],
  ["l", "next label", turn("label")],
  ["[", "smaller brush", ({ size }) => size(-0.5)],
  ["]", "larger brush", ({ size }) => size(0.5)],
  ["d", "ball or disc", ({ tick }) => tick("ball")],
  ["o", "only on bone", ({ tick }) => tick("guard")],
  ["i", "fill between drawn slices", click("between")],
  ["z", "undo (also Ctrl+Z)", click("undo")],
  ["?", "this card", ({ help }) => help()],
];

export function listKeys(list) {
  for (const [key, text] of KEYS) {
    const [term, meaning] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = key.length === 1 ? key.toUpperCase() : key;
    meaning.textContent = text;
    list.append(term, meaning);
  }
}

export function onKeys(acts) {
  const known = new Map(KEYS.map(([key, , act]) => [key, act]));
  globalThis.addEventListener("keydown", (event) => {
    const writes = event.target.closest?.("input, select, textarea, dialog");
    if (event.key === "Escape" && writes) event.target.blur();
    const undo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
    if (writes || event.altKey || ((event.ctrlKey || event.metaKey) && !undo)) return;
    const act = known.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act(acts);
  }, true);
}
