import { call, stepUp } from "./api.js";
import { blackoutActions, bindBlackouts } from "./blackouts.js";
import { plain } from "./format.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { can, config, onEvent, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { showProblem } from "./toast.js";

const limitDialog = document.getElementById("limit-dialog");
const breakerDialog = document.getElementById("breaker-dialog");
const mayChange = can("limits.tighten") || can("risk.propose");
let limit = null;
let breaker = null;

const tables = {
  limits: new LiveTable("limits", config.tables.limits, { actions: (row) => mayChange && button("Change", `Change ${row.name} of ${row.scope}`, () => openLimit(row)) }),
  breakers: new LiveTable("breakers", config.tables.breakers, { actions: breakerActions }),
  states: new LiveTable("states", config.tables.states, { rowKey: "scope", actions: stateActions }),
  blackouts: new LiveTable("blackouts", config.tables.blackouts, { actions: blackoutActions }),
  denials: new LiveTable("denials", config.tables.denials),
  enforcements: new LiveTable("enforcements", config.tables.enforcements),
};

function stateActions(row) {
  const buttons = [];
  if (row.level < 4 && (can("kill.raise") || config.haltable.includes(row.scope))) {
    const halt = button("Halt…", `Halt ${row.scope}`, () => {});
    halt.dataset.openHalt = row.scope;
    buttons.push(halt);
  }
  if (can("kill.resume") && row.level > 0) {
    const resume = button("Resume…", `Ask to resume ${row.scope}`, () => {});
    resume.dataset.openResume = row.scope;
    buttons.push(resume);
  }
  return buttons;
}

function breakerActions(row) {
  const buttons = [];
  if (row.state !== "closed" && can("breakers.reset")) buttons.push(button("Reset…", `Ask to reset ${row.name} of ${row.scope}`, () => openBreaker(row, "reset")));
  if (row.state !== "open" && can("kill.raise")) buttons.push(button("Force open…", `Force open ${row.name} of ${row.scope}`, () => openBreaker(row, "open")));
  return buttons;
}

function openBreaker(row, action) {
  breaker = { row, action };
  const resets = action === "reset";
  document.getElementById("breaker-title").textContent = resets ? "Reset breaker" : "Force breaker open";
  breakerDialog.querySelector("[data-effect]").textContent = resets
    ? `${row.name} on ${row.scope} is ${row.state}${row.reason ? `: ${row.reason}` : ""}. Closing it lets orders in its scope through again. This files a request for a second person.`
    : `Opens ${row.name} on ${row.scope} at once: orders in its scope that add risk are denied until it is reset.`;
  breakerDialog.querySelector("[data-confirm]").textContent = resets ? "File the request" : "Open now";
  breakerDialog.querySelector("[data-result]").hidden = true;
  breakerDialog.querySelector("form").reason.value = resets ? "" : `Opened by ${config.user}`;
  breakerDialog.showModal();
}

function openLimit(row) {
  limit = row;
  const form = limitDialog.querySelector("form");
  document.getElementById("limit-title").textContent = `Change ${row.name}`;
  limitDialog.querySelector("[data-now]").textContent = `Scope ${row.scope}, now ${plain(row.value)} ${row.unit}${row.used === null ? "" : `, used ${plain(row.used)}`}. ${row.description ?? ""}`;
  limitDialog.querySelector("[data-result]").hidden = true;
  form.value.value = row.value;
  form.reason.value = "";
  explainLimit();
  simulate();
  limitDialog.showModal();
  form.value.select();
}

function explainLimit() {
  const form = limitDialog.querySelector("form");
  const [next, now] = [Number(form.value.value), Number(limit.value)];
  const effect = limitDialog.querySelector("[data-effect]");
  if (!Number.isFinite(next) || form.value.value === "" || next === now) {
    effect.textContent = "Type a value to see what it does.";
    return;
  }
  const tightens = limit.tighter === "higher" ? next > now : next < now;
  const change = `${plain(limit.value)} → ${plain(form.value.value)} ${limit.unit} (${next > now ? "+" : "−"}${Math.abs(next - now).toPrecision(6).replace(/\.?0+$/, "")} ${limit.unit})`;
  const over = limit.used !== null && limit.tighter !== "higher" && next < Number(limit.used) ? " It is below what is used now: only reducing orders pass until use falls." : "";
  effect.textContent = tightens ? `Tighter: ${change}. Applies at once.${over}` : `Looser: ${change}. Files a request; nothing changes until a second person approves.`;
  limitDialog.querySelector("[data-confirm]").textContent = tightens ? "Tighten now" : "File the request";
}

let simulating = null;

/** What the value would have done in the last week, once the typing pauses. */
function simulate() {
  clearTimeout(simulating);
  const form = limitDialog.querySelector("form");
  const line = limitDialog.querySelector("[data-simulated]");
  const [value, asked] = [form.value.value, limit];
  line.textContent = "";
  if (value === "" || Number(value) === Number(limit.value)) return;
  simulating = setTimeout(async () => {
    try {
      const { body } = await call("GET", `/api/v1/limits/${encodeURIComponent(asked.name)}/effect?${new URLSearchParams({ scope: asked.scope, value })}`);
      if (form.value.value !== value || limit !== asked) return;
      const use = body.highest_use ? ` The furthest an order came is ${body.highest_use} of it.` : "";
      line.textContent = `The last 7 days, ${body.orders_last_7_days} orders: would have blocked ${body.would_have_blocked}, let through ${body.would_have_let_through} that were denied.${use}`;
    } catch (error) {
      line.textContent = error.message;
    }
  }, 300);
}

function say(dialog, text, approval = null) {
  const result = dialog.querySelector("[data-result]");
  result.hidden = false;
  result.dataset.tone = "good";
  result.textContent = text;
  if (approval) {
    const link = document.createElement("a");
    link.href = `/approvals/#${approval.id}`;
    link.textContent = " Open the request";
    result.append(link);
  }
}

limitDialog.querySelector("form").value.addEventListener("input", () => {
  explainLimit();
  simulate();
});
limitDialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  try {
    const { status, body } = await call("PUT", `/api/v1/limits/${encodeURIComponent(limit.name)}`, { value: form.value.value, scope: limit.scope, reason: form.reason.value });
    if (status === 202) say(limitDialog, "Request filed; the limit is unchanged until a second person approves.", body.approval ?? body);
    else say(limitDialog, `In force: ${plain(body.value)} ${body.unit}.`);
    refetch();
  } catch (error) {
    showProblem(limitDialog.querySelector("[data-result]"), error);
  }
});
breakerDialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { status, body } = await call("POST", `/api/v1/breakers/${breaker.row.id}/${breaker.action}`, { reason: event.target.reason.value });
    if (status === 202) say(breakerDialog, "Request filed; the breaker stays as it is until a second person approves.", body);
    else say(breakerDialog, `${body.name} on ${body.scope} is ${body.state}.`);
    refetch();
  } catch (error) {
    if (error.code === "STEP_UP_REQUIRED") return stepUp({ do: "breaker" });
    showProblem(breakerDialog.querySelector("[data-result]"), error);
  }
});

bindBlackouts();
onState((state) => {
  for (const name of Object.keys(tables)) tables[name].set(state[name]);
  confirm("page", 0, 45);
});
onEvent(({ topic }) => {
  if (topic === "breakers" || topic === "trading_state") refetchSoon(200);
  else if (topic === "orders") refetchSoon(3000);
});
start();
