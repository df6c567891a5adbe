// Sliders over members of the policy: what the allocator would decide now. Nothing here changes anything.
import { call } from "./api.js";
import { drawFlow } from "./capital-flow.js";
import { money, plain } from "./format.js";
import { config } from "./shell.js";
import { LiveTable } from "./table.js";
import { showProblem } from "./toast.js";

const PAUSE_MS = 250;
const panel = document.querySelector("[data-what-if]");
const form = panel?.querySelector("form");
const table = panel ? new LiveTable("what_if", config.tables.what_if) : null;
let inForce = null;
let known = false; // whether the last run knew what all accounts are worth
let timer = null;
let asked = 0;

function inputs() {
  return [...form.querySelectorAll("[name]")];
}

function tell(input) {
  const output = input.parentElement.querySelector("output");
  if (output) output.textContent = input.dataset.unit === "share" ? `${Math.round(Number(input.value) * 100)} %` : `${money(input.value, 0)} USDT`;
}

/** What the page calls a member of the policy, in the middle of a sentence. */
function called(name) {
  const text = form.elements[name]?.closest("label").firstChild.textContent.trim() ?? name;
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function shown(name) {
  const input = form.elements[name];
  return input.parentElement.querySelector("output")?.textContent ?? plain(input.value);
}

function changes() {
  const changed = {};
  for (const input of inputs()) if (input.value !== input.dataset.inForce) changed[input.name] = input.value;
  return changed;
}

function reset() {
  for (const input of inputs()) {
    const value = String(inForce[input.name] ?? "");
    if (input.type === "range" && Number(value) > Number(input.max)) input.max = String(Math.ceil(Number(value)));
    input.value = value;
    // A slider holds the nearest step of its own: that one counts as the value in force.
    input.dataset.inForce = input.value;
    tell(input);
  }
  if (known) ask();
  else wait();
}

function wait() {
  const message = panel.querySelector("[data-verdict]");
  message.hidden = false;
  message.dataset.tone = "off";
  message.textContent = "The sliders wait for the first run that knows what all accounts are worth.";
}

async function ask() {
  const number = ++asked;
  const message = panel.querySelector("[data-verdict]");
  const changed = changes();
  try {
    const { body } = await call("POST", "/api/v1/allocations/what-if", { changes: changed });
    if (number !== asked) return; // a later one is on its way
    drawFlow(panel.querySelector("[data-flow]"), body.flow);
    table.set(
      body.choices.map((row) => ({
        ...row,
        id: row.strategy,
        lamp: { tone: Number(row.amount) > Number(row.before) ? "good" : Number(row.amount) < Number(row.before) ? "warn" : "off", text: row.rule_in_words, title: row.rule_is_set_by.length ? `capital policy: ${row.rule_is_set_by.join(", ")}` : "" },
      })),
    );
    const names = Object.keys(changed);
    const two = body.allows_more.length ? ` More of this takes two people: ${body.allows_more.map(called).join(", ")}.` : names.length ? " Nothing of it allows more: one person could put it into force." : "";
    message.hidden = false;
    message.dataset.tone = body.allows_more.length ? "warn" : "good";
    message.title = names.length ? `capital policy: ${names.join(", ")}` : "";
    message.textContent = `${names.length ? `With ${names.map((name) => `${called(name)} ${shown(name)}`).join(", ")}: ` : "As in force: "}${body.explanation}${two}`;
  } catch (error) {
    if (number !== asked) return;
    message.hidden = false;
    showProblem(message, error);
  }
}

form?.addEventListener("input", (event) => {
  tell(event.target);
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE_MS);
});
form?.addEventListener("submit", (event) => event.preventDefault());
panel?.querySelector("[data-as-in-force]").addEventListener("click", () => inForce && reset());

/** The policy in force as the page knows it; sliders follow it until somebody moves one. */
export function whatIfFollows(document, equity) {
  if (!panel) return;
  panel.hidden = !document;
  if (!document) return;
  const key = `${JSON.stringify(document)} ${Number(equity ?? 0) > 0}`;
  if (panel.dataset.document === key) return;
  panel.dataset.document = key;
  inForce = document;
  known = Number(equity ?? 0) > 0;
  const most = Math.max(1000, Math.ceil(Number(equity ?? 0) / 1000) * 1000);
  for (const input of inputs()) if (input.dataset.unit === "money") input.max = String(most);
  reset();
}
