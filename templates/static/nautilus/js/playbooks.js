import { ask, field } from "./ask.js";
import { confirm } from "./freshness.js";
import { mayRehearse, showGameDay } from "./game-day.js";
import { openIncident } from "./incident-dialog.js";
import { button } from "./order-actions.js";
import { can, config, onEvent, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";

const RENEW_S = 5; // what is measured is no event
const SEVERITIES = ["info", "success", "warning", "critical"];
const NUMBERS = ["threshold", "window_s", "confirm", "min_samples", "cooldown_s", "max_scopes", "blind_after"];
const tables = {
  playbooks: new LiveTable("playbooks", config.tables.playbooks, { actions: playbookActions }),
  incidents: new LiveTable("incidents", config.tables.incidents, { actions: (row) => [button("Open", `Open incident ${row.id}`, () => openIncident(row.id))] }),
  rehearsals: new LiveTable("rehearsals", config.tables.rehearsals),
  game: new LiveTable("game", config.tables.game),
  reports: new LiveTable("reports", config.tables.reports, { actions: (row) => [download(row)] }),
};

function download(row) {
  const link = document.createElement("a");
  link.href = `/api/v1/compliance/${row.day}`;
  link.download = `compliance-${row.day}.json`;
  link.textContent = "Download";
  link.setAttribute("aria-label", `Download the report of ${row.day}`);
  return link;
}

function playbookActions(row) {
  const made = [];
  if (can("risk.propose")) made.push(button("Change…", `Change ${row.name}`, () => change(row)));
  if (mayRehearse(row)) made.push(button("Rehearse…", `Rehearse ${row.name}`, () => rehearse(row)));
  return made;
}

function change(row) {
  ask({
    title: `Change ${row.name}`,
    effect: "Acting earlier applies at once; acting later, or not at all, files a request for a second person.",
    confirm: "Change",
    fields: [
      field("threshold", `From (${row.unit})`, { value: row.threshold, required: true }),
      field("window_s", "Looks back, seconds", { value: row.window_s, required: true }),
      field("confirm", "Readings in a row", { type: "number", value: row.confirm, required: true }),
      field("min_samples", "Samples at least", { type: "number", value: row.min_samples, required: true }),
      field("cooldown_s", "Cool-down, seconds", { value: row.cooldown_s, required: true }),
      field("max_scopes", "Scopes within an hour", { type: "number", value: row.max_scopes, required: true }),
      field("blind_after", "Failed readings that stop new risk", { type: "number", value: row.blind_after, required: true }),
      field("severity", "Severity", { options: SEVERITIES, value: row.severity }),
      field("is_armed", "Armed", { options: ["yes", "no"], value: row.is_armed ? "yes" : "no" }),
      field("actions", "Steps, one a line", { lines: row.actions.length + 1, value: row.actions.map((step) => JSON.stringify(step)).join("\n"), required: true, wide: true }),
    ],
    request: ({ reason, ...given }) => ({ method: "PUT", path: `/api/v1/playbooks/${row.name}`, body: { ...changed(row, given), reason } }),
    said: (status) => (status === 202 ? "Request filed; the playbook stays as it is until a second person approves." : "In force."),
  });
}

/** What differs from the rule in force: what a person left alone is not theirs to answer for. */
function changed(row, given) {
  const values = { severity: given.severity, is_armed: given.is_armed === "yes", actions: given.actions.split("\n").filter((line) => line.trim()).map(step) };
  for (const name of NUMBERS) values[name] = Number(given[name]);
  return Object.fromEntries(Object.entries(values).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(row[name])));
}

function step(line, index) {
  try {
    return JSON.parse(line);
  } catch {
    throw new SyntaxError(`step ${index + 1} is not like {"do": "blackout", "minutes": 30}`);
  }
}

function rehearse(row) {
  ask({
    title: `Rehearse ${row.name}`,
    effect: `A fault is put into the paper exchange and the playbook acts for real: ${row.does}. Afterwards the fault is taken out and the requests that undo it are filed in your name.`,
    confirm: "Put the fault in",
    request: ({ reason }) => ({ method: "POST", path: `/api/v1/playbooks/${row.name}/rehearse`, body: { reason } }),
    said: (_, body) => (body.state === "stuck" ? `Only part of the fault is in, and cannot be taken out yet: ${body.error}` : `The fault is in; expected on ${body.scope}. The marks appear below.`),
  });
}

onState((state) => {
  for (const name of Object.keys(tables)) tables[name].set(state[name]);
  showGameDay(state);
  confirm("page", 0, 20);
});
onEvent(() => refetchSoon(400));
setInterval(() => document.visibilityState === "visible" && refetch(), RENEW_S * 1000);
start();
const named = /^#incident-(\d+)$/.exec(location.hash);
if (named) openIncident(named[1]);
