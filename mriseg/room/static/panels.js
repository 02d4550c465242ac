// The lists beside the images. Text only ever becomes text.

export const element = (id) => document.getElementById(id);

function make(tag, text = "", kind = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const number = (value, digits = 1) => (value === null || value === undefined ? "–" : value.toFixed(digits));

export function showWorklist(room, open) {
  const list = element("worklist");
  const shown = JSON.stringify([room.entries, room.scene?.participant]);
  if (list.dataset.shown === shown) return; // a button that is replaced under the pointer is never clicked
  list.dataset.shown = shown;
  list.replaceChildren();
  for (const entry of room.entries) {
    const button = make("button", entry.participant);
    button.dataset.participant = entry.participant;
    button.setAttribute("aria-current", String(entry.participant === room.scene?.participant));
    for (const visit of entry.visits) button.append(make("small", `${visit.name}: ${visit.standing}`, visit.waits ? "unjudged" : visit.standing));
    if (entry.measuring) button.append(make("small", { waiting: "waits to be measured", running: "measuring ...", done: "measured again", failed: "measuring failed" }[entry.measuring]));
    button.addEventListener("click", () => open(entry.participant, entry.visits.find((v) => v.waits)?.name ?? entry.visits[0].name));
    list.append(button);
  }
}

export function showVisits(room, open) {
  const { scene } = room;
  element("visits").replaceChildren(
    ...scene.visits.map((visit) => {
      const button = make("button", visit.name);
      button.dataset.visit = visit.name;
      button.setAttribute("aria-pressed", String(visit.name === scene.shown));
      button.addEventListener("click", () => open(scene.participant, visit.name));
      return button;
    }),
  );
  const shown = scene.visits.find((v) => v.name === scene.shown);
  const why = [make("p", shown.standing + (shown.waits ? ", waits" : ""), shown.standing), ...(shown.said ? [make("p", shown.said, "soft")] : [])];
  why.push(make("p", `segmentation: ${shown.verdict}`, shown.verdict), ...shown.reasons.map((reason) => make("p", reason, "soft")));
  element("why").replaceChildren(...why);
}

export function showLesions(room, goTo) {
  const rows = room.scene.lesions.map((lesion, n) => {
    const button = make("button", `${lesion.id} ${lesion.region}, ICRS ${lesion.icrs}`);
    button.setAttribute("aria-pressed", String(n === room.lesion));
    button.append(make("br"), make("small", `${lesion.visit}: ${number(lesion.area_mm2)} mm², ${number(lesion.depth_pct, 0)} % deep`));
    button.addEventListener("click", () => goTo(n));
    const item = make("li");
    item.append(button);
    return item;
  });
  element("lesions").replaceChildren(...(rows.length ? rows : [make("li", "none listed", "soft")]));
}

export function showValues(room) {
  const table = make("table");
  for (const { visit, endpoint, value, unit, state } of room.scene.values) {
    const was = room.before.find((b) => b.visit === visit)?.value;
    const row = make("tr");
    row.append(make("td", `${visit} ${endpoint}`), make("td", `${number(value)} ${value === null ? "" : unit}`, "n"), make("td", state, state));
    if (was !== undefined && was !== value) row.append(make("td", `was ${number(was)}`, "soft"));
    table.append(row);
  }
  element("values").replaceChildren(room.scene.values.length ? table : make("p", "not measured yet", "soft"));
}
