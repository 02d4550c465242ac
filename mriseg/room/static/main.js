// The reading room: what is open, what the keys do, and how a verdict leaves the page.

import * as api from "./api.js";
import { listKeys, onKeys } from "./keys.js";
import { Drawing } from "./paint.js";
import { painting } from "./painting.js";
import { element, showLesions, showValues, showVisits, showWorklist } from "./panels.js";
import { Pair } from "./viewers.js";

const DRAFT_EVERY_MS = 3000;
const LOOK_EVERY_MS = 2000;
const room = { session: null, pair: null, scene: null, drawing: null, entries: [], opened: 0, seconds: null, before: [], kept: 0, lesion: -1 };
globalThis.room = room; // for whoever looks from the console, and for the tests

const busy = { on: false };
const judged = () => room.scene.pair.findIndex((v) => v.name === room.scene.shown);
const viewer = () => room.pair.viewers[judged()];
const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
const spent = () => (performance.now() - room.opened) / 1000;

// Two visits stand side by side: the one that is judged and, of more than two, the one before it or else after it.
function sideBySide(scene) {
  const at = scene.visits.findIndex((v) => v.name === scene.shown);
  const first = Math.max(0, at - 1);
  return { ...scene, pair: scene.visits.slice(first, first + 2) };
}

function say(text, bad = false) {
  element("status").textContent = text;
  element("status").classList.toggle("bad", bad);
}

// One thing at a time, and whatever fails is said.
function action(act) {
  return async (...given) => {
    if (busy.on) return;
    busy.on = true;
    document.body.dataset.busy = "yes";
    try {
      await act(...given);
    } catch (error) {
      say(error.message, true);
    } finally {
      busy.on = false;
      document.body.dataset.busy = "";
    }
  };
}

async function refreshWorklist() {
  room.entries = await api.worklist();
  showWorklist(room, open);
}

async function load(participant, visit) {
  await keepDraft();
  say("loading ...");
  const bone = element("bone").value;
  const scene = sideBySide(await api.scene(participant, visit, bone));
  const slab = element("slab").value;
  const other = room.scene?.participant !== participant || room.scene?.shown !== visit;
  room.scene = scene;
  room.pair.beside = scene.pair.every((v) => v.registered);
  room.pair.each((own) => own.hold());
  try {
    await fill(scene, bone, slab, other);
  } finally {
    room.pair.each((own) => own.release());
  }
  say(room.drawing.changed ? "your drawing was kept and is here again, not saved yet" : "");
}

async function fill(scene, bone, slab, other) {
  const { participant } = scene;
  let drawing = null;
  const onto = scene.pair.map((v) => (v.registered ? scene.shown : v.name));
  const maps = await Promise.all(scene.pair.map((v, n) => api.labels(participant, v.name, { onto: onto[n], bone })));
  for (const [n, own] of room.pair.viewers.entries()) {
    const shown = scene.pair[n];
    own.figure.hidden = !shown;
    if (!shown) continue;
    const labels = maps[n];
    await own.show(api.volumeAddress(participant, shown.name, { onto: onto[n], bone, slab }), shown.window, labels);
    own.caption.textContent = shown.name + (shown.registered ? "" : " (not registered: its own space)");
    own.figure.classList.toggle("judged", shown.name === scene.shown);
    own.forgetSurfaces();
    if (shown.name === scene.shown) drawing = new Drawing(labels, scene.shape, scene.spacing);
  }
  await recover(drawing);
  room.drawing = drawing;
  if (other) Object.assign(room, { opened: performance.now(), seconds: null, before: [], lesion: -1 });
  element("patient").textContent = `${participant}, ${scene.side === "L" ? "left" : "right"} knee`;
  element("comment").value = "";
  await room.pair.setPlane(room.pair.plane, scene);
  setLook();
  if (other) centre();
  show();
}

// What was kept of an earlier sitting comes back as one stroke, which can be undone.
async function recover(drawing) {
  const { participant, shown } = room.scene;
  const kept = await api.draft(participant, shown);
  if (!kept || kept.length !== drawing.labels.length) return;
  drawing.begin();
  kept.forEach((label, voxel) => drawing.put(voxel, label));
  drawing.end();
  viewer().setLabels(drawing.labels);
  room.kept = drawing.strokes.length;
}

function centre() {
  const [first] = room.scene.lesions;
  const { affine, shape } = room.scene;
  const middle = affine.slice(0, 3).map((row) => row[3] + row.slice(0, 3).reduce((sum, x, a) => sum + x * (shape[a] / 2), 0));
  viewer().moveTo(first ? first.mm : middle);
  room.pair.viewers[1 - judged()]?.follow(viewer());
}

function show() {
  showWorklist(room, open);
  showVisits(room, open);
  showLesions(room, goTo);
  showValues(room);
  showDrawn();
}

function showDrawn() {
  const { drawing } = room;
  element("drawn").textContent = drawing.changed ? `${drawing.strokes.length} stroke(s), not saved` : "";
  element("save").disabled = element("revert").disabled = !drawing.changed;
  element("undo").disabled = !drawing.changed;
  element("accept").disabled = element("reject").disabled = drawing.changed;
}

const open = action(load);

function goTo(n) {
  const { lesions } = room.scene;
  if (!lesions.length) return;
  room.lesion = (n + lesions.length) % lesions.length;
  viewer().moveTo(lesions[room.lesion].mm);
  room.pair.viewers[1 - judged()]?.follow(viewer());
  showLesions(room, goTo);
}

function setLook() {
  const [kind, opacity, white] = [element("overlay").value, Number(element("opacity").value), Number(element("white").value)];
  room.pair.overlay(kind, opacity);
  room.pair.each((own, n) => {
    const shown = room.scene.pair[n];
    if (shown) own.window(shown.window[0], shown.window[0] + (shown.window[1] - shown.window[0]) / white);
  });
}

async function keepDraft() {
  const { drawing, scene } = room;
  if (!drawing?.changed || room.kept === drawing.strokes.length) return;
  const { name, map } = scene.pair[judged()];
  const strokes = drawing.strokes.length;
  await api.keepDraft(scene.participant, name, map, drawing.labels);
  room.kept = strokes;
}

const finish = (word) => {
  room.seconds = Math.round(spent());
  element("done").textContent = `${word} after ${clock(room.seconds)}`;
};

const judge = (verdict) => action(async () => {
  if (room.drawing.changed) throw new Error("Save or discard what you drew first.");
  const { participant, shown } = room.scene;
  const { map } = room.scene.pair[judged()];
  await api.judge(participant, shown, { verdict, map, comment: element("comment").value, seconds: Math.round(spent()) });
  finish(verdict === "accept" ? "accepted" : "rejected");
  await settle();
});

const save = action(async () => {
  const { participant, shown } = room.scene;
  const { map } = room.scene.pair[judged()];
  room.before = room.scene.values;
  const query = { map, comment: element("comment").value, seconds: Math.round(spent()) };
  await api.correct(participant, shown, query, room.drawing.labels);
  finish("saved");
  room.drawing.strokes = [];
  room.kept = 0;
  showDrawn();
  await settle();
  say("saved; measuring again behind the page");
});

async function settle() {
  element("comment").value = "";
  const scene = sideBySide(await api.scene(room.scene.participant, room.scene.shown, room.scene.bone));
  Object.assign(room.scene, { visits: scene.visits, pair: scene.pair, values: scene.values });
  await refreshWorklist();
  show();
}

const discard = action(async () => {
  const { participant, shown } = room.scene;
  await api.dropDraft(participant, shown);
  while (room.drawing.undo());
  room.kept = 0;
  viewer().refresh();
  showDrawn();
});

const next = action(async () => {
  await refreshWorklist();
  const all = room.entries.flatMap((e) => e.visits.map((v) => ({ participant: e.participant, ...v })));
  const here = all.findIndex((v) => v.participant === room.scene?.participant && v.name === room.scene?.shown);
  const rest = [...all.slice(here + 1), ...all.slice(0, here + 1)];
  const found = rest.find((v) => v.waits) ?? rest[0];
  if (!all.some((v) => v.waits)) say("nothing waits any more");
  await load(found.participant, found.name);
});

// Numbers appear when they are there; what is drawn and not saved is not touched.
async function look() {
  if (busy.on || document.body.dataset.still === "yes") return;
  try {
    await keepDraft();
    const measuring = room.entries.some((e) => ["waiting", "running"].includes(e.measuring));
    if (!measuring) return;
    await refreshWorklist();
    const entry = room.entries.find((e) => e.participant === room.scene.participant);
    if (entry?.measuring === "failed") say("measuring again failed; `mriseg status` says why", true);
    if (entry?.measuring === "done" && !room.drawing.changed) {
      const before = room.before;
      await open(room.scene.participant, room.scene.shown);
      room.before = before;
      showValues(room);
      say("measured again");
    }
  } catch (error) {
    say(error instanceof TypeError ? "the server does not answer; what you drew since is only in this page" : error.message, true);
  }
}

function press(name, act) {
  for (const button of document.querySelectorAll(`[data-${name}]`))
    button.addEventListener("click", () => act(button.dataset[name]));
  return (value) => {
    for (const button of document.querySelectorAll(`[data-${name}]`)) button.setAttribute("aria-pressed", String(button.dataset[name] === value));
  };
}

const flicker = { timer: 0, front: 0 };
function toggleFlicker() {
  const stage = element("stage");
  const on = stage.classList.toggle("flicker");
  element("flicker").setAttribute("aria-pressed", String(on));
  clearInterval(flicker.timer);
  const turn = () => room.pair.each((own, n) => own.figure.classList.toggle("behind", on && n !== flicker.front));
  if (on) flicker.timer = setInterval(() => ((flicker.front = 1 - flicker.front), turn()), 600);
  turn();
  room.pair.each((own) => own.nv.resizeListener());
}

async function start() {
  room.session = await api.session();
  document.title = `Reading room: ${room.session.title}`;
  element("title").textContent = room.session.title + (room.session.masked ? ", visit order masked" : "");
  element("reader").textContent = `reader ${room.session.reader}`;
  room.pair = new Pair(element("left"), element("right"), room.session.labels);
  await room.pair.attach();
  const shownPlane = press("plane", action(async (name) => { await room.pair.setPlane(name, room.scene); setLook(); shownPlane(name); }));
  shownPlane("multi");
  const tools = painting(room, { element, viewer, judged, showDrawn, say, press });
  for (const id of ["overlay", "opacity", "white"]) element(id).addEventListener("input", setLook);
  for (const id of ["bone", "slab"]) element(id).addEventListener("change", () => open(room.scene.participant, room.scene.shown));
  const acts = { accept: judge("accept"), reject: judge("reject"), save, next, revert: discard, flicker: toggleFlicker };
  for (const [id, act] of Object.entries(acts)) element(id).addEventListener("click", () => act());
  const help = element("help");
  element("help-button").addEventListener("click", () => help.showModal());
  element("help-close").addEventListener("click", () => help.close());
  const keys = { ...acts, ...tools.keys, room, element, goTo, open, help: () => help.showModal(), move: (step) => { viewer().nv.moveCrosshairInVox(...step); } };
  listKeys(element("keys"));
  onKeys(keys);
  setInterval(() => { if (room.scene) element("clock").textContent = clock(spent()); }, 1000);
  setInterval(look, Math.min(DRAFT_EVERY_MS, LOOK_EVERY_MS));
  await refreshWorklist();
  if (room.entries.length) await open(room.entries[0].participant, room.entries[0].visits.find((v) => v.waits)?.name ?? room.entries[0].visits[0].name);
  else say("no label map to read yet; run `mriseg run` first");
  document.body.dataset.ready = "yes";
}

start().catch((error) => say(error.message, true));
