import { ask, field } from "./ask.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { can, config, onState, refetch, start } from "./shell.js";
import { LiveTable } from "./table.js";

const RENEW_S = 5; // runs are not events
const table = new LiveTable("schedules", config.tables.schedules, { actions });

function actions(row) {
  if (!can("platform.propose")) return [];
  return [button("Change…", `Change ${row.name}`, () => ask({
    title: `Change ${row.name}`,
    effect: "More often, or on again, applies at once; less often, or off, files a request for a second person.",
    confirm: "Change",
    fields: [field("every_s", "Every, seconds", { type: "number", value: row.every_s, required: true }), field("is_enabled", "On", { options: ["yes", "no"], value: row.is_enabled ? "yes" : "no" })],
    request: ({ every_s, is_enabled, reason }) => ({ method: "PUT", path: `/api/v1/schedules/${row.id}`, body: { every_s: Number(every_s), is_enabled: is_enabled === "yes", reason } }),
    said: (status) => (status === 202 ? "Request filed; the job runs as before until a second person approves." : "In force."),
  }))];
}

onState((state) => {
  table.set(state.schedules);
  confirm("page", 0, 20);
});
setInterval(() => document.visibilityState === "visible" && refetch(), RENEW_S * 1000);
start();
