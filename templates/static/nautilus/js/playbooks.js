import { ask, field } from "./ask.js";
import { confirm } from "./freshness.js";
import { openIncident } from "./incident-dialog.js";
import { button } from "./order-actions.js";
import { can, config, onEvent, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";

const RENEW_S = 5; // what is measured is no event
const tables = {
  playbooks: new LiveTable("playbooks", config.tables.playbooks, { actions: playbookActions }),
  incidents: new LiveTable("incidents", config.tables.incidents, { actions: (row) => [button("Open", `Open incident ${row.id}`, () => openIncident(row.id))] }),
  rehearsals: new LiveTable("rehearsals", config.tables.rehearsals),
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
  const mayEnd = row.rehearsal_takes.every(can); // it ends with an undo, or a review, in one's own name
  if (row.rehearsable && config.environment === "local" && can("playbooks.operate") && mayEnd) made.push(button("Rehearse…", `Rehearse ${row.name}`, () => rehearse(row)));
  return made;
}

function change(row) {
  ask({
    title: `Change ${row.name}`,
    effect: "Acting earlier applies at once; acting later, or not at all, files a request for a second person.",
    confirm: "Change",
    fields: [
      field("threshold", `From (${row.unit})`, { value: row.threshold, required: true }),
      field("confirm", "Readings in a row", { type: "number", value: row.confirm, required: true }),
      field("cooldown_s", "Cool-down, seconds", { value: row.cooldown_s, required: true }),
      field("is_armed", "Armed", { options: ["yes", "no"], value: row.is_armed ? "yes" : "no" }),
    ],
    request: ({ threshold, confirm: readings, cooldown_s, is_armed, reason }) => ({ method: "PUT", path: `/api/v1/playbooks/${row.name}`, body: { threshold: Number(threshold), confirm: Number(readings), cooldown_s: Number(cooldown_s), is_armed: is_armed === "yes", reason } }),
    said: (status) => (status === 202 ? "Request filed; the playbook stays as it is until a second person approves." : "In force."),
  });
}

function rehearse(row) {
  ask({
    title: `Rehearse ${row.name}`,
    effect: `A fault is put into the paper exchange and the playbook acts for real: ${row.does}. Afterwards the fault is taken out and the requests that undo it are filed in your name.`,
    confirm: "Put the fault in",
    request: ({ reason }) => ({ method: "POST", path: `/api/v1/playbooks/${row.name}/rehearse`, body: { reason } }),
    said: (_, body) => `The fault is in; expected on ${body.scope}. The marks appear below.`,
  });
}

onState((state) => {
  for (const name of Object.keys(tables)) tables[name].set(state[name]);
  confirm("page", 0, 20);
});
onEvent(() => refetchSoon(400));
setInterval(() => document.visibilityState === "visible" && refetch(), RENEW_S * 1000);
start();
const named = /^#incident-(\d+)$/.exec(location.hash);
if (named) openIncident(named[1]);
