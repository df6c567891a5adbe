// The strategies page: what is defined and what it made; defining, switching, capital.
import { call } from "./api.js";
import { node } from "./explain-parts.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { drawFields, readFields } from "./parameter-fields.js";
import { can, config, onEvent, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { showProblem, toast } from "./toast.js";

const RENEW_S = 5; // ages and open results are not events
const defineDialog = document.getElementById("define-dialog");
const grantDialog = document.getElementById("grant-dialog");
const listingsDialog = document.getElementById("listings-dialog");
const switchDialog = document.getElementById("switch-dialog");
const holder = defineDialog.querySelector("[data-parameters]");
const form = defineDialog.querySelector("form");
let places = [];
let changed = null; // the row being changed; null: a new strategy
let granted = null;
let switched = null; // {path, body, done}

const tables = {
  strategies: new LiveTable("strategies", config.tables.strategies, { actions: strategyActions, onOpen: openChange }),
  instances: new LiveTable("instances", config.tables.instances, { actions: instanceActions }),
  quoting: new LiveTable("quoting", config.tables.quoting, {}),
};

function strategyActions(row) {
  const actions = [];
  if (can("strategies.define")) {
    actions.push(button("Change…", `Change ${row.name}`, () => openChange(row), "button-small button-quiet"));
    if (kindOf(row.kind)?.trades_listings) actions.push(button("Listings…", `New listings for ${row.name}`, () => openListings(row), "button-small button-quiet"));
    actions.push(button("Add symbol…", `Add a symbol to ${row.name}`, () => openAdd(row), "button-small button-quiet"));
  }
  if (row.enabled && can("strategies.disable")) actions.push(button("Disable…", `Disable ${row.name}`, () => openSwitch(row, {})));
  if (!row.enabled && can("risk.propose")) actions.push(button("Enable…", `Enable ${row.name}`, () => openSwitch(row, {})));
  return actions;
}

function instanceActions(row) {
  const what = `${row.symbol} of ${row.strategy}`;
  const actions = [];
  if (can("capital.propose") || can("strategies.disable")) actions.push(button("Capital…", `Capital for ${what}`, () => openGrant(row), "button-small button-quiet"));
  const subject = { name: row.strategy, enabled: row.enabled };
  const place = { account: row.account, symbol: row.symbol };
  if (row.enabled && can("strategies.disable")) actions.push(button("Disable…", `Disable ${what}`, () => openSwitch(subject, place)));
  if (!row.enabled && can("risk.propose")) actions.push(button("Enable…", `Enable ${what}`, () => openSwitch(subject, place)));
  return actions;
}

const kindOf = (name) => config.kinds.find((kind) => kind.name === name && kind.parameters);
const quiet = (dialog) => (dialog.querySelector("[data-result]").hidden = true);

function fillSymbols(within) {
  const { account, symbol } = within.elements;
  const found = places.find((place) => place.account === account.value);
  symbol.replaceChildren(...(found?.symbols ?? []).map((name) => new Option(name, name)));
}

function showKind(values) {
  const kind = kindOf(changed ? changed.kind : form.elements.kind.value);
  drawFields(holder, kind?.parameters, values);
  defineDialog.querySelector("[data-about]").textContent = (kind?.description ?? "").split("\n\n")[0].replaceAll("`", "");
  defineDialog.querySelector("[data-model]").hidden = !kind?.parameters.properties.model;
  showDiff();
}

/** What would change, name by name, beside what happens then. */
function showDiff() {
  const effect = defineDialog.querySelector("[data-effect]");
  if (!changed) {
    effect.textContent = "It begins switched off and without capital. Enabling it and granting capital each take a second person.";
    return;
  }
  const now = changes();
  const lines = [];
  const schema = kindOf(changed.kind)?.parameters.properties ?? {};
  for (const name of Object.keys(schema)) {
    const before = changed.parameters[name] ?? schema[name].default;
    if (String(before) !== String(now.parameters[name] ?? schema[name].default)) lines.push(`${name}: ${before} → ${now.parameters[name] ?? schema[name].default}`);
  }
  for (const name of ["interval", "model_family", "description"]) if ((changed[name] ?? "") !== now[name]) lines.push(`${name}: ${changed[name] || "none"} → ${now[name] || "none"}`);
  const then = changed.enabled ? "It trades: a second person decides. Then it warms up again with the next bar." : "It is switched off: at once.";
  effect.replaceChildren(...(lines.length ? lines : ["Nothing differs yet."]).map((line) => node("div", line)), node("div", then, "muted"));
}

function changes() {
  return { interval: form.elements.interval.value, model_family: form.elements.model_family.value, description: form.elements.description.value.trim(), parameters: readFields(holder) };
}

/** Only what differs from the schema's defaults, or was set before: a stored definition stays short. */
function given(parameters, schema, before) {
  return Object.fromEntries(Object.entries(parameters).filter(([name, value]) => name in before || String(value) !== String(schema[name]?.default)));
}

function openDefine() {
  changed = null;
  form.reset();
  form.querySelector("[data-new]").hidden = false;
  for (const input of form.querySelectorAll("[data-new] input, [data-new] select")) input.disabled = false;
  document.getElementById("define-title").textContent = "New strategy";
  defineDialog.querySelector("[data-confirm]").textContent = "Create";
  fillSymbols(form);
  showKind({});
  quiet(defineDialog);
  defineDialog.showModal();
}

function openChange(row) {
  changed = row;
  form.reset();
  form.querySelector("[data-new]").hidden = true;
  for (const input of form.querySelectorAll("[data-new] input, [data-new] select")) input.disabled = true;
  document.getElementById("define-title").textContent = `${row.name} · ${row.kind}`;
  const confirmButton = defineDialog.querySelector("[data-confirm]");
  confirmButton.textContent = row.enabled ? "File the request" : "Change now";
  confirmButton.hidden = !can("strategies.define");
  form.elements.interval.value = row.interval;
  form.elements.model_family.value = row.model_family ?? "";
  form.elements.description.value = row.description;
  showKind(row.parameters);
  quiet(defineDialog);
  defineDialog.showModal();
}

form.addEventListener("input", showDiff);
form.elements.kind.addEventListener("change", () => showKind({}));
for (const within of [form, switchDialog.querySelector("form")]) within.elements.account.addEventListener("change", () => fillSymbols(within));
document.getElementById("define-open")?.addEventListener("click", openDefine);

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const now = changes();
  const schema = kindOf(changed ? changed.kind : form.elements.kind.value)?.parameters.properties ?? {};
  const body = { ...now, parameters: given(now.parameters, schema, changed?.parameters ?? {}), reason: form.elements.reason.value };
  if (!changed) {
    Object.assign(body, { name: form.elements.name.value, kind: form.elements.kind.value });
    if (form.elements.symbol.value) body.instances = [{ account: form.elements.account.value, symbol: form.elements.symbol.value }];
  }
  await submit(defineDialog, changed ? "PATCH" : "POST", changed ? `/api/v1/strategy/${changed.name}` : "/api/v1/strategy/", body, changed ? `${changed.name} is changed.` : `${body.name} is defined, switched off.`);
});

function openGrant(row) {
  granted = row;
  const fields = grantDialog.querySelector("form").elements;
  document.getElementById("grant-title").textContent = `Capital for ${row.symbol} of ${row.strategy}`;
  fields.allocation.value = row.allocation;
  fields.weight.value = row.weight;
  fields.reason.value = "";
  showGrant();
  quiet(grantDialog);
  grantDialog.showModal();
}

function showGrant() {
  const { allocation, weight } = grantDialog.querySelector("form").elements;
  const most = Number(allocation.value) * Number(weight.value);
  const before = Number(granted.allocation) * Number(granted.weight);
  const raises = Number(allocation.value) > Number(granted.allocation) || Number(weight.value) > Number(granted.weight);
  grantDialog.querySelector("[data-effect]").textContent = `At most ${most.toFixed(2)} of exposure where it was ${before.toFixed(2)}. ${raises ? "A second person decides." : "At once."}`;
  grantDialog.querySelector("[data-confirm]").textContent = raises ? "File the request" : "Set now";
}

grantDialog.querySelector("form").addEventListener("input", showGrant);
grantDialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { allocation, weight, reason } = event.target.elements;
  const body = { account: granted.account, symbol: granted.symbol, allocation: allocation.value, weight: weight.value, reason: reason.value };
  await submit(grantDialog, "POST", `/api/v1/strategy/${granted.strategy}/grant`, body, `Capital for ${granted.symbol} is set.`);
});

function openListings(row) {
  granted = row;
  const fields = listingsDialog.querySelector("form").elements;
  document.getElementById("listings-title").textContent = `New listings for ${row.name}`;
  fields.reason.value = "";
  fillListings();
  quiet(listingsDialog);
  listingsDialog.showModal();
}

const termsNow = (account) => granted.listing_grants.find((grant) => grant.account === account) ?? { allocation: "0", per_day: 0 };

function fillListings() {
  const { account, allocation, per_day: perDay } = listingsDialog.querySelector("form").elements;
  const now = termsNow(account.value);
  allocation.value = now.allocation;
  perDay.value = now.per_day;
  showListings();
}

function showListings() {
  const { account, allocation, per_day: perDay } = listingsDialog.querySelector("form").elements;
  const now = termsNow(account.value);
  const raises = Number(allocation.value) > Number(now.allocation) || Number(perDay.value) > now.per_day;
  const most = (each, count) => (Number(each) * Number(count)).toFixed(2);
  listingsDialog.querySelector("[data-effect]").textContent = `At most ${most(allocation.value, perDay.value)} USDT in 24 hours where it was ${most(now.allocation, now.per_day)}, in symbols as they are listed. ${raises ? "A second person decides." : "At once."}`;
  listingsDialog.querySelector("[data-confirm]").textContent = raises ? "File the request" : "Set now";
}

listingsDialog.querySelector("form").addEventListener("input", showListings);
listingsDialog.querySelector("[name=account]").addEventListener("change", fillListings);
listingsDialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { account, allocation, per_day: perDay, reason } = event.target.elements;
  const body = { account: account.value, allocation: allocation.value, per_day: Number(perDay.value), reason: reason.value };
  await submit(listingsDialog, "POST", `/api/v1/strategy/${granted.name}/listings`, body, `What ${granted.name} may buy of new listings is set.`);
});

function openSwitch(row, place) {
  const what = place.symbol ? `${place.symbol} of ${row.name}` : row.name;
  const verb = row.enabled ? "disable" : "enable";
  switched = { path: `${row.name}/${verb}`, body: place, done: row.enabled ? `${what} is disabled.` : `${what} is enabled.` };
  showSwitch(
    row.enabled ? `Disable ${what}` : `Enable ${what}`,
    row.enabled ? "At once: it decides nothing any more. Its position stays as it is; close it by hand or by a kill." : "Nothing changes until a second person approves. It then decides at the next closed bar.",
    row.enabled ? "Disable now" : "File the request",
    false,
  );
}

function openAdd(row) {
  switched = { path: `${row.name}/instances`, body: null, done: `${row.name} has one more symbol.` };
  showSwitch(`Add a symbol to ${row.name}`, "It has no capital until somebody grants it some, with a second person's approval.", "Add", true);
}

function showSwitch(title, effect, verb, asksPlace) {
  const within = switchDialog.querySelector("form");
  document.getElementById("switch-title").textContent = title;
  within.querySelector("[data-effect]").textContent = effect;
  within.querySelector("[data-confirm]").textContent = verb;
  within.querySelector("[data-place]").hidden = !asksPlace;
  within.elements.reason.value = "";
  fillSymbols(within);
  quiet(switchDialog);
  switchDialog.showModal();
}

switchDialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { account, symbol, reason } = event.target.elements;
  const place = switched.body ?? { account: account.value, symbol: symbol.value };
  await submit(switchDialog, "POST", `/api/v1/strategy/${switched.path}`, { ...place, reason: reason.value }, switched.done);
});

async function submit(dialog, method, path, body, done) {
  const confirmButton = dialog.querySelector("[data-confirm]");
  confirmButton.disabled = true;
  try {
    const { status } = await call(method, path, body);
    dialog.close();
    if (status === 202) toast("Request filed; nothing changes until a second person approves.", "good", { href: "/approvals/", text: "Approvals" });
    else toast(done);
    refetch();
  } catch (error) {
    showProblem(dialog.querySelector("[data-result]"), error);
  } finally {
    confirmButton.disabled = false;
  }
}

onState((state) => {
  places = state.places;
  tables.strategies.set(state.strategies);
  tables.instances.set(state.instances);
  tables.quoting.set(state.quoting);
  confirm("page", 0, 20);
});
onEvent(({ topic }) => ["decisions", "orders", "trading_state", "approvals", "fills", "models"].includes(topic) && refetchSoon(500));
setInterval(() => document.visibilityState === "visible" && refetch(), RENEW_S * 1000);
start();
