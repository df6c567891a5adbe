import { ask, field } from "./ask.js";
import { auditLink } from "./audit-link.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { can, config, onState, start } from "./shell.js";
import { LiveTable } from "./table.js";

const people = new LiveTable("people", config.tables.people, { limit: 500, actions });
const tokens = new LiveTable("tokens", config.tables.tokens, { limit: 500 });
const matrix = new LiveTable("matrix", config.tables.matrix);

function changed(row, { role, is_active }) {
  const payload = {};
  if (role !== row.role) payload.role = role;
  if ((is_active === "yes") !== row.is_active) payload.is_active = is_active === "yes";
  return payload;
}

function actions(row) {
  const made = [auditLink(`user:${row.username}`)].filter(Boolean);
  if (!can("users.manage")) return made;
  return [button("Change…", `Change ${row.username}`, () => ask({
    title: `Change ${row.username}`,
    effect: "Files a request; nothing changes until a risk officer approves, who may not be the person concerned.",
    confirm: "Ask for it",
    fields: [field("role", "Role", { options: config.roles, value: row.role }), field("is_active", "Active", { options: ["yes", "no"], value: row.is_active ? "yes" : "no" })],
    request: (values) => ({ method: "POST", path: "/api/v1/approvals", body: { kind: "user.change", target: row.username, payload: changed(row, values), reason: values.reason } }),
    said: () => "Request filed.",
  })), ...made];
}

onState((state) => {
  people.set(state.people);
  tokens.set(state.tokens);
  matrix.set(state.matrix);
  confirm("page", 0, 45);
});
start();
