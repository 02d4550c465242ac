// Every question that the page asks; addresses are relative, so that they carry the token of the page.

async function answer(response) {
  if (response.ok) return response;
  const said = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  throw new Error(said.error);
}

const at = (kind, participant, visit, query = {}) =>
  `api/${kind}/${encodeURIComponent(participant)}/${encodeURIComponent(visit)}?${new URLSearchParams(query)}`;

const get = async (address) => answer(await fetch(address));

export const session = async () => (await get("api/session")).json();
export const worklist = async () => (await get("api/worklist")).json();
export const scene = async (participant, visit, bone) => (await get(at("scene", participant, visit, { bone }))).json();
export const volumeAddress = (participant, visit, query) => at("volume", participant, `${visit}.nii`, query);
export const surfaceAddress = (participant, visit, bone, onto) =>
  `api/surface/${encodeURIComponent(participant)}/${encodeURIComponent(visit)}/${bone}.mz3?${new URLSearchParams({ onto })}`;

export async function labels(participant, visit, query) {
  return new Uint8Array(await (await get(at("labels", participant, visit, query))).arrayBuffer());
}

export async function draft(participant, visit) {
  const response = await get(at("draft", participant, visit));
  return response.status === 204 ? null : new Uint8Array(await response.arrayBuffer());
}

export const keepDraft = async (participant, visit, map, body) =>
  answer(await fetch(at("draft", participant, visit, { map }), { method: "PUT", body }));
export const dropDraft = async (participant, visit) =>
  answer(await fetch(at("draft", participant, visit), { method: "DELETE" }));
export const correct = async (participant, visit, query, body) =>
  (await answer(await fetch(at("correct", participant, visit, query), { method: "POST", body }))).json();
export const judge = async (participant, visit, said) =>
  (await answer(await fetch(at("judge", participant, visit), { method: "POST", body: JSON.stringify(said) }))).json();
