// The tools: from the pointer to the drawing.

const GROW = { radius: 6, tolerance: 0.12 }; // mm, and share of the window

export function painting(room, { element, viewer, judged, showDrawn, say, press }) {
  const state = { tool: "look", last: null };
  for (const { value, name } of room.session.labels) {
    const option = document.createElement("option");
    option.value = value;
    option.textContent = name;
    element("label").append(option);
  }
  element("label").value = "2";

  const choose = press("tool", (tool) => pick(tool));
  function pick(tool) {
    if (tool !== "look" && element("slab").value !== "1") {
      say("thick slices are for looking; choose 1 slice to draw", true);
      return;
    }
    state.tool = tool;
    choose(tool);
    room.pair.each((own) => own.figure.classList.toggle("paints", tool !== "look"));
  }
  pick("look");

  const label = () => Number(element("label").value);
  const options = (axis) => ({ axis: element("ball").checked ? null : axis, guard: element("guard").checked });

  function dab({ voxel, axis }) {
    const radius = Number(element("size").value) / 2;
    const value = state.tool === "eraser" ? 0 : label();
    const from = state.last ?? voxel;
    const gap = Math.hypot(...voxel.map((x, a) => (x - from[a]) * room.drawing.spacing[a]));
    const steps = Math.max(1, Math.ceil(gap / Math.max(radius / 2, 0.3)));
    for (let n = 1; n <= steps; n++)
      room.drawing.dab(voxel.map((x, a) => Math.round(from[a] + ((x - from[a]) * n) / steps)), radius, value, options(axis));
    state.last = voxel;
  }

  function grow({ voxel }) {
    const [volume] = viewer().nv.volumes;
    const tolerance = GROW.tolerance * (volume.cal_max - volume.cal_min);
    room.drawing.grow(voxel, label(), viewer().image, { radius: GROW.radius, tolerance, guard: element("guard").checked });
  }

  function begin(event, own) {
    if (state.tool === "look" || event.button !== 0 || !room.drawing) return;
    event.stopPropagation();
    event.preventDefault();
    if (own !== viewer()) {
      say("this visit is only shown beside; press X to correct it", true);
      return;
    }
    const place = own.under(event);
    if (!place) return;
    room.drawing.begin();
    state.last = null;
    if (state.tool === "grow") {
      grow(place);
      finish();
    } else {
      document.body.dataset.still = "yes";
      dab(place);
    }
    own.refresh();
  }

  function move(event, own) {
    if (!room.drawing?.stroke || own !== viewer()) return;
    event.stopPropagation();
    const place = own.under(event);
    if (!place) return;
    dab(place);
    requestAnimationFrame(() => own.refresh());
  }

  function finish() {
    if (!room.drawing?.stroke) return;
    room.drawing.end();
    document.body.dataset.still = "";
    showDrawn();
  }

  room.pair.each((own) => {
    own.figure.addEventListener("mousedown", (event) => begin(event, own), true);
    own.figure.addEventListener("mousemove", (event) => move(event, own), true);
  });
  globalThis.addEventListener("mouseup", finish, true);

  function undo() {
    room.drawing.undo();
    viewer().refresh();
    showDrawn();
  }

  // Across the sagittal slices, on which readers draw.
  function between() {
    room.drawing.begin();
    room.drawing.fillBetween(0, label(), element("guard").checked);
    room.drawing.end();
    viewer().refresh();
    showDrawn();
  }
  element("undo").addEventListener("click", undo);
  element("between").addEventListener("click", between);
  const size = (step) => (element("size").value = Math.min(20, Math.max(0.5, Number(element("size").value) + step)));
  const tick = (id) => (element(id).checked = !element(id).checked);
  return { keys: { pick, undo, between, size, tick, judged } };
}
