import { call } from "./api.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { can, config, onEvent, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { showProblem } from "./toast.js";

const RENEW_S = 10;
const dialog = document.getElementById("policy-dialog");
const form = dialog.querySelector("form");
const problems = dialog.querySelector("[data-problems]");
const effect = dialog.querySelector("[data-effect]");
const result = dialog.querySelector("[data-result]");
const submit = dialog.querySelector("[data-confirm]");
const mayChange = can("risk.propose") || can("limits.tighten");
const tables = {
  policies: new LiveTable("policies", config.tables.policies, { actions: (row) => [button(mayChange ? "Change…" : "Look", `${mayChange ? "Change" : "Look at"} ${row.name}`, () => open(row.name, row.document, `${row.name}, version ${row.version ?? "none"}`))] }),
  versions: new LiveTable("versions", config.tables.versions, { actions: versionActions }),
  firings: new LiveTable("firings", config.tables.firings),
};
let name = null;
let checked = null; // the document that was found to be in order, as the server wrote it

function versionActions(row) {
  if (row.in_force) return [];
  const title = `${row.policy}, version ${row.version}`;
  return [button(mayChange ? "Go back…" : "Look", `${mayChange ? "Go back to" : "Look at"} ${title}`, () => open(row.policy, row.document, title))];
}

function open(policy, document_, title) {
  name = policy;
  document.getElementById("policy-title").textContent = title;
  form.format.value = "json";
  form.file.value = "";
  form.text.value = JSON.stringify(document_, null, 2);
  if (form.reason) form.reason.value = "";
  result.hidden = true;
  forget();
  dialog.showModal();
}

function forget() {
  checked = null;
  problems.replaceChildren();
  effect.hidden = true;
  if (submit) submit.disabled = true;
}

function say(problem) {
  const item = document.createElement("li");
  const place = problem.line ? `Line ${problem.line}, column ${problem.column}: ` : "";
  item.textContent = `${place}${problem.path ? `${problem.path}: ` : ""}${problem.message}`;
  if (problem.line) {
    item.append(" ", button("Show", `Show line ${problem.line}`, () => show(problem.line, problem.column), "button-small button-quiet"));
  }
  return item;
}

function show(line, column) {
  const lines = form.text.value.split("\n");
  const start_ = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0) + column - 1;
  form.text.focus();
  form.text.setSelectionRange(start_, Math.min(start_ + 1, form.text.value.length));
}

function tell(verdict) {
  const changed = Object.entries(verdict.changed).map(([key, [before, after]]) => `${key}: ${short(before ?? "–", 160)} → ${short(after ?? "–", 160)}`);
  const allows = verdict.allows_more.length ? `Allows more at ${verdict.allows_more.join(", ")}: a second person decides.` : "Allows nothing more: in force at once.";
  effect.hidden = false;
  const lines = changed.length ? [allows, ...changed, verdict.effect.in_words ?? ""].filter(Boolean) : ["It says exactly what is in force."];
  effect.replaceChildren(...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
}

function short(value, longest = 80) {
  const text = typeof value === "string" ? value : JSON.stringify(value ?? null);
  return text.length > longest ? `${text.slice(0, longest)} …` : text;
}

async function check() {
  forget();
  try {
    const { body } = await call("POST", `/api/v1/policies/${name}/check`, { text: form.text.value, format: form.format.value });
    problems.replaceChildren(...body.problems.map(say));
    if (body.problems.length) return;
    checked = body.document;
    tell(body);
    if (submit) {
      submit.disabled = Object.keys(body.changed).length === 0;
      submit.textContent = body.allows_more.length ? "Ask a second person" : "Put into force";
    }
  } catch (error) {
    showProblem(result, error);
  }
}

dialog.querySelectorAll("[data-close]").forEach((element) => element.addEventListener("click", () => dialog.close()));
dialog.querySelector("[data-check]").addEventListener("click", check);
form.text.addEventListener("input", forget);
form.format.addEventListener("change", forget);
form.file.addEventListener("change", async () => {
  const [file] = form.file.files;
  if (!file) return;
  form.text.value = await file.text();
  form.format.value = file.name.endsWith(".json") ? "json" : "yaml";
  check();
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!checked) return;
  try {
    const { status, body } = await call("PUT", `/api/v1/policies/${name}`, { document: checked, reason: form.reason.value });
    result.hidden = false;
    result.dataset.tone = "good";
    result.textContent = status === 202 ? "Request filed; nothing changes until a second person approves." : `Version ${body.version} is in force.`;
    if (status === 202) {
      const link = document.createElement("a");
      link.href = `/approvals/#${body.id}`;
      link.textContent = " Open the request";
      result.append(link);
    }
    submit.disabled = true;
    refetch();
  } catch (error) {
    showProblem(result, error);
  }
});

onState((state) => {
  for (const key of Object.keys(tables)) tables[key].set(state[key]);
  confirm("page", 0, 45);
});
onEvent(() => refetchSoon(400));
setInterval(() => document.visibilityState === "visible" && refetch(), RENEW_S * 1000);
start();
