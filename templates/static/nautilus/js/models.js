import { call } from "./api.js";
import { drawCanary } from "./canary-portrait.js";
import { node } from "./explain-parts.js";
import { fullTime, money } from "./format.js";
import { confirm } from "./freshness.js";
import { drawComparison, drawModel, drawStudy } from "./model-portrait.js";
import { drawPosterior } from "./model-posterior.js";
import { button } from "./order-actions.js";
import { can, config, onEvent, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { complain, showProblem, toast } from "./toast.js";

const RENEW_S = 5; // who serves what is not an event
const modelDialog = document.getElementById("model-dialog");
const modelBody = document.getElementById("model-body");
const trainDialog = document.getElementById("train-dialog");
const stageDialog = document.getElementById("stage-dialog");
const extendDialog = document.getElementById("extend-dialog");
let move = null;
let extended = null;
let latest = null;

const tables = {
  versions: new LiveTable("versions", config.tables.versions, { actions: versionActions }),
  canaries: new LiveTable("canaries", config.tables.canaries, { actions: canaryActions }),
  verdicts: new LiveTable("verdicts", config.tables.verdicts, { actions: verdictActions }),
  training: new LiveTable("training", config.tables.training, { actions: trainingActions }),
  studies: new LiveTable("studies", config.tables.studies, { actions: studyActions }),
  serving: new LiveTable("serving", config.tables.serving),
};

function versionActions(row) {
  const buttons = [button("Look", `Look at ${row.model} version ${row.version}`, () => look(row), "button-small button-quiet")];
  if (can("models.train") && row.stage !== "retired") buttons.push(button("Judge", `Judge ${row.model} version ${row.version}`, () => judge(row), "button-small button-quiet"));
  if (can("models.propose") && row.stage !== "champion") buttons.push(button("Promote…", `Ask to promote ${row.model} version ${row.version}`, () => openMove(row, "promote")));
  if (can("models.rollback") && row.stage === "champion") buttons.push(button("Roll back…", `Roll back ${row.model}`, () => openMove(row, "rollback")));
  return buttons;
}

function canaryActions(row) {
  const buttons = [button("Look", `Look at the canary ${row.model} version ${row.version}`, () => lookAtCanary(row), "button-small button-quiet")];
  if (can("models.propose") && row.undecided) buttons.push(button("Extend…", `Ask for more time for the canary of ${row.model}`, () => openExtension(row), "button-small button-quiet"));
  // The way out is one click: no dialog, no second person.
  if (can("models.rollback") && row.open) buttons.push(button("Roll back", `Roll back the canary of ${row.model}`, () => rollBackCanary(row)));
  return buttons;
}

async function rollBackCanary(row) {
  try {
    await call("POST", `/api/v1/canaries/${row.id}/rollback`, { reason: "rolled back on the page" });
    toast(`${row.model} version ${row.version}: capital is back with the champion, its position is being left.`);
    refetchSoon(300);
  } catch (error) {
    complain(error);
  }
}

function openExtension(row) {
  extended = row;
  extendDialog.querySelector("[data-effect]").textContent = `${row.model} version ${row.version} ends without a winner ${row.ends}. More time keeps ${money(row.capital)} USDT with it for as long; every other rule stays, and so does what the test promises. Nothing changes until a second person approves.`;
  extendDialog.querySelector("[data-result]").hidden = true;
  extendDialog.querySelector("form").reset();
  extendDialog.showModal();
}

extendDialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const result = extendDialog.querySelector("[data-result]");
  const { days, reason } = event.target;
  try {
    await call("POST", `/api/v1/canaries/${extended.id}/extend`, { more_s: Number(days.value) * 86400, reason: reason.value });
    result.hidden = false;
    result.dataset.tone = "good";
    result.textContent = "Request filed; the canary ends by its rules until a second person approves.";
    refetch();
  } catch (error) {
    showProblem(result, error);
  }
});

function verdictActions(row) {
  const buttons = [button("Look", `Look at the verdict on ${row.model} version ${row.version}`, () => look({ ...row, id: row.version_id }), "button-small button-quiet")];
  if (can("models.train") && ["queued", "running"].includes(row.state)) buttons.push(button("Cancel", `Cancel judging ${row.model} version ${row.version}`, () => cancelVerdict(row)));
  return buttons;
}

async function judge(row) {
  try {
    await call("POST", `/api/v1/models/${row.id}/judge`, {});
    toast(`Queued: ${row.model} version ${row.version} is judged beside the champion.`);
    refetchSoon(300);
  } catch (error) {
    complain(error);
  }
}

async function cancelVerdict(row) {
  try {
    await call("DELETE", `/api/v1/models/verdicts/${row.id}`);
    toast(`Cancel asked for: ${row.model} version ${row.version}`);
    refetchSoon(300);
  } catch (error) {
    complain(error);
  }
}

function trainingActions(row) {
  if (!can("models.train") || !["queued", "running"].includes(row.state)) return [];
  return [button("Cancel", `Cancel training of ${row.model}`, () => cancel(row))];
}

async function cancel(row) {
  try {
    await call("DELETE", `/api/v1/models/jobs/${row.id}`);
    toast(`Cancel asked for: ${row.model}`);
    refetchSoon(300);
  } catch (error) {
    complain(error);
  }
}

function studyActions(row) {
  const buttons = [button("Look", `Look at the study of ${row.symbols}`, () => lookAtStudy(row), "button-small button-quiet")];
  if (can("models.train") && row.state === "running") buttons.push(button("Cancel", `Cancel the study of ${row.symbols}`, () => cancelStudy(row)));
  return buttons;
}

async function cancelStudy(row) {
  try {
    await call("DELETE", `/api/v1/models/studies/${row.id}`);
    toast(`Cancel asked for: every run of the study of ${row.symbols} that is not over`);
    refetchSoon(300);
  } catch (error) {
    complain(error);
  }
}

async function lookAtStudy(row) {
  await opened(`Study of ${row.symbols}`, async () => drawStudy(modelBody, (await call("GET", `/api/v1/models/studies/${row.id}`)).body));
}

async function lookAtCanary(row) {
  await opened(`Canary: ${row.model} version ${row.version}`, async () => drawCanary(modelBody, (await call("GET", `/api/v1/canaries/${row.id}`)).body));
}

async function opened(title, draw) {
  document.getElementById("model-title").textContent = title;
  modelBody.textContent = "Reading …";
  modelDialog.showModal();
  try {
    await draw();
    alignHeads(modelBody);
  } catch (error) {
    modelDialog.close();
    complain(error);
  }
}

/** A heading stands over its numbers, not beside them. */
function alignHeads(body) {
  for (const table of body.querySelectorAll("table")) {
    const first = table.tBodies[0]?.rows[0];
    if (!first || !table.tHead) continue;
    [...table.tHead.rows[0].cells].forEach((cell, at) => cell.classList.toggle("number", first.cells[at]?.classList.contains("number") ?? false));
  }
}

async function look(row) {
  await opened(`${row.model} version ${row.version}`, async () => {
    const { body } = await call("GET", `/api/v1/models/${row.id}`);
    drawModel(modelBody, body);
    alignHeads(modelBody); // what is read further may take a while
    modelBody.append(node("h2", "Notes"), notesPart(body));
    if (!body.pruned_at) await lookFurther(body);
  });
}

function notesPart(model) {
  if (!can("models.train")) return node("p", model.notes || "None.");
  const form = node("form", "", "notes");
  const text = node("textarea");
  Object.assign(text, { name: "notes", rows: 3, maxLength: 4000, value: model.notes });
  text.setAttribute("aria-label", "Notes");
  const save = node("button", "Save notes", "button-small");
  save.type = "submit";
  form.append(text, save);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await call("PATCH", `/api/v1/models/${model.id}`, { notes: text.value });
      toast("Notes saved; what stood there before is in the audit trail.");
    } catch (error) {
      complain(error);
    }
  });
  return form;
}

function headed(title, part) {
  modelBody.append(node("h2", title), part);
}

async function lookFurther(model) {
  const champion = latest?.versions.find((row) => row.model === model.model && row.stage === "champion" && row.id !== model.id);
  try {
    const { body } = await call("GET", `/api/v1/models/${model.id}/posterior?bars=300`);
    headed("What it says of the newest bars", drawPosterior(body));
  } catch (error) {
    headed("What it says of the newest bars", node("p", error.message));
  }
  if (!champion) return;
  const { body } = await call("GET", `/api/v1/models/compare?one=${model.id}&other=${champion.id}`);
  headed("Beside the champion", drawComparison(body));
}

function rollbackText(row) {
  const { to, why_not: whyNot } = row.rollback ?? {};
  if (!to) return `There is nothing to roll back to: ${whyNot}. Stop the strategies that follow it, or raise the level of the model.`;
  return `Puts ${to} back in force, at once, and retires version ${row.version} of ${row.model}, which then comes back by another approval only.`;
}

function openMove(row, action) {
  move = { row, action };
  const promotes = action === "promote";
  document.getElementById("stage-title").textContent = promotes ? "Promote" : "Roll back";
  stageDialog.querySelector("[data-effect]").textContent = promotes
    ? `Asks for ${row.model} version ${row.version} to be promoted. As champion, strategies that follow ${row.model} decide with it. It needs a fresh passing verdict; nothing changes until a second person approves.`
    : rollbackText(row);
  stageDialog.querySelector("[data-confirm]").disabled = !promotes && !row.rollback?.to;
  stageDialog.querySelector("[data-confirm]").textContent = promotes ? "File the request" : "Roll back now";
  stageDialog.querySelector("[data-result]").hidden = true;
  for (const label of stageDialog.querySelectorAll("[data-only=promote]")) label.hidden = !promotes;
  stageDialog.querySelector("form").reset();
  stageDialog.showModal();
}

stageDialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const result = stageDialog.querySelector("[data-result]");
  const { reason, stage, override } = event.target;
  // A move to shadow with a passing verdict takes one person and is at once; everything else is a request.
  const atOnce = move.action === "promote" && stage.value === "shadow" && !override.checked;
  const path = atOnce ? "stage" : move.action;
  const asked = { reason: reason.value, ...(move.action === "promote" ? { stage: stage.value, ...(atOnce ? {} : { override: override.checked }) } : {}) };
  try {
    const { status, body } = await call("POST", `/api/v1/models/${move.row.id}/${path}`, asked);
    result.hidden = false;
    result.dataset.tone = "good";
    result.textContent = status === 202 ? "Request filed; the model in force stays until a second person approves." : `${body.model} version ${body.version} is ${body.stage} now.`;
    refetch();
  } catch (error) {
    showProblem(result, error);
  }
});

document.getElementById("train-open")?.addEventListener("click", () => {
  trainDialog.querySelector("[data-result]").hidden = true;
  trainDialog.showModal();
});
trainDialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const result = trainDialog.querySelector("[data-result]");
  const several = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);
  const asked = { model: form.model.value, interval: form.interval.value, features: form.features.value ? form.features.value.split(",") : null };
  const [symbols, seeds] = [several(form.symbol.value), several(form.seed.value).map(Number)];
  const states = form.states.value === "" ? [null] : several(form.states.value).map(Number);
  const one = symbols.length * seeds.length * states.length === 1;
  try {
    if (one) await call("POST", "/api/v1/models/train", { ...asked, symbol: symbols[0], states: states[0], seed: seeds[0] });
    else await call("POST", "/api/v1/models/studies", { ...asked, symbols, states, seeds });
    trainDialog.close();
    toast(one ? "Queued; it appears under Training." : `Queued: ${symbols.length * seeds.length * states.length} runs, shared by the workers; they appear under Studies.`);
    refetchSoon(300);
  } catch (error) {
    showProblem(result, error);
  }
});

const served = document.getElementById("served");
served.addEventListener("submit", async (event) => {
  event.preventDefault();
  const result = served.querySelector("output");
  try {
    const { body } = await call("GET", `/api/v1/models/serving?at=${encodeURIComponent(`${served.at.value}Z`)}`);
    const list = node("ul");
    for (const [word, rows] of [["champion", body.champions], ["canary", body.canaries]]) {
      for (const row of rows) list.append(node("li", `${row.model} version ${row.version} (${row.digest.slice(0, 12)}) was ${word}, since ${fullTime(row.since)}, by ${row.actor}: ${row.reason}`));
    }
    result.replaceChildren(list.childElementCount ? list : node("p", `No model was in force at ${fullTime(body.at)}.`));
  } catch (error) {
    result.replaceChildren(node("p", error.message, "message"));
  }
});

onState((state) => {
  latest = state;
  for (const name of Object.keys(tables)) tables[name].set(state[name]);
  confirm("page", 0, 20);
});
onEvent(({ topic }) => topic === "models" && refetchSoon(200));
setInterval(() => document.visibilityState === "visible" && refetch(), RENEW_S * 1000);
start();
