import { takeIntent } from "./api.js";
import { ask, field } from "./ask.js";
import { auditLink } from "./audit-link.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { can, config, onState, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { toast } from "./toast.js";

const people = new LiveTable("people", config.tables.people, { limit: 500, actions });
const tokens = new LiveTable("tokens", config.tables.tokens, { limit: 500, actions: tokenActions });
const keys = new LiveTable("keys", config.tables.keys, { actions: keyActions });
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

function tokenActions(row) {
  if (!row.revocable) return [];
  return [button("Revoke…", `Revoke ${row.name} of ${row.username}`, () => ask({
    title: `Revoke ${row.name}`,
    effect: `Whatever uses this token of ${row.username} is refused from now on. This cannot be taken back.`,
    confirm: "Revoke",
    needsReason: false,
    request: () => ({ method: "DELETE", path: `/api/v1/tokens/${row.id}` }),
    said: () => "Revoked.",
  }))];
}

function keyActions(row) {
  if (!can("keys.propose")) return [];
  return [button("Replace…", `Replace the ${row.purpose} key of ${row.account}`, () => ask({
    title: `Another ${row.purpose} key for ${row.account}`,
    effect: "Files a request; the present key is used until a risk officer approves. The secret is sealed at once and never shown again.",
    confirm: "Ask for it",
    fields: [field("api_key", "API key", { required: true, wide: true }), field("api_secret", "Secret", { type: "password", required: true, wide: true })],
    request: ({ api_key, api_secret, reason }) => ({ method: "POST", path: "/api/v1/credentials", body: { account: row.account, purpose: row.purpose, api_key, api_secret, reason } }),
    said: () => "Request filed.",
  }))];
}

const shown = document.getElementById("token-dialog");
const text = document.getElementById("token-text");

/** The chosen scopes; none means all that the role may. */
function scopeBoxes() {
  const holder = document.createElement("fieldset");
  holder.className = "wide checks";
  holder.append(Object.assign(document.createElement("legend"), { textContent: "May only (nothing chosen: all that your role may)" }));
  for (const scope of config.scopes) {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", name: `scope.${scope}` });
    label.append(box, ` ${scope}`);
    holder.append(label);
  }
  return holder;
}

document.getElementById("new-token").addEventListener("click", () => ask({
  title: "New token",
  effect: "For a script that acts as you. It can never approve or resume.",
  confirm: "Make it",
  needsReason: false,
  intent: { do: "token" },
  fields: [field("name", "For", { required: true }), field("days", `Days (1 to ${config.token_days})`, { type: "number", value: "30", required: true }), scopeBoxes()],
  request: (values) => ({
    method: "POST",
    path: "/api/v1/tokens",
    body: { name: values.name, days: Number(values.days), scopes: Object.keys(values).filter((name) => name.startsWith("scope.")).map((name) => name.slice("scope.".length)) },
  }),
  said: (_, body) => {
    text.value = body.token;
    document.getElementById("ask-dialog").close();
    shown.showModal();
    text.select();
    return "Made.";
  },
}));
document.getElementById("token-copy").addEventListener("click", async () => {
  text.select();
  try {
    await navigator.clipboard.writeText(text.value);
    toast("Copied.");
  } catch (error) {
    if (!["NotAllowedError", "TypeError"].includes(error.name)) throw error;
    toast("Press Ctrl+C: the browser does not let a page copy here.", "bad");
  }
});
shown.addEventListener("close", () => { text.value = ""; });
if (sessionStorage.getItem("nautilus.intent")?.includes('"do":"token"') && takeIntent()) document.getElementById("new-token").click();

onState((state) => {
  people.set(state.people);
  tokens.set(state.tokens);
  keys.set(state.keys);
  matrix.set(state.matrix);
  confirm("page", 0, 45);
});
start();
