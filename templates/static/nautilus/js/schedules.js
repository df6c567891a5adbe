import { ask, field } from "./ask.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { can, config, onState, refetch, start } from "./shell.js";
import { LiveTable } from "./table.js";

const RENEW_S = 5; // runs are not events
const WATCHED_S = 1; // while somebody waits for one
const table = new LiveTable("schedules", config.tables.schedules, { actions });
const runs = new LiveTable("runs", config.tables.runs);
const byHand = new LiveTable("by_hand", config.tables.by_hand);
let watched = false;

function actions(row) {
  const made = [];
  if (can("schedules.run") && row.may_run_by_hand) made.push(button("Run now…", `Run ${row.name} now`, () => runNow(row)));
  if (can("platform.propose")) made.push(button("Change…", `Change ${row.name}`, () => change(row)));
  return made;
}

function runNow(row) {
  const again = row.is_enabled ? "Its next run is due a period later." : "It is off, which two people decided: it does not run until it is switched on.";
  ask({
    title: `Run ${row.name} now`,
    effect: `Sent to ${row.queue} once, at once: ${row.by_hand}. ${again}`,
    confirm: "Run now",
    request: ({ reason }) => ({ method: "POST", path: `/api/v1/schedules/${row.id}/run`, body: { reason } }),
    said: () => "Queued; how it goes is under “Runs people asked for”.",
  });
}

function change(row) {
  ask({
    title: `Change ${row.name}`,
    effect: "More often, or on again, applies at once; less often, or off, files a request for a second person.",
    confirm: "Change",
    fields: [field("every_s", "Every, seconds", { type: "number", value: row.every_s, required: true }), field("is_enabled", "On", { options: ["yes", "no"], value: row.is_enabled ? "yes" : "no" })],
    request: ({ every_s, is_enabled, reason }) => ({ method: "PUT", path: `/api/v1/schedules/${row.id}`, body: { every_s: Number(every_s), is_enabled: is_enabled === "yes", reason } }),
    said: (status) => (status === 202 ? "Request filed; the job runs as before until a second person approves." : "In force."),
  });
}

onState((state) => {
  table.set(state.schedules);
  runs.set(state.runs);
  byHand.set(state.by_hand);
  watched = state.runs.some((run) => run.state === "queued" || run.state === "running");
  confirm("page", 0, 20);
});
const renew = () => document.visibilityState === "visible" && refetch();
setInterval(renew, RENEW_S * 1000);
setInterval(() => watched && renew(), WATCHED_S * 1000);
start();
