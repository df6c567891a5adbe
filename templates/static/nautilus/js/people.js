import { takeIntent } from "./api.js";
import { ask, field } from "./ask.js";
import { auditLink } from "./audit-link.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { keyActions } from "./people-keys.js";
import { endSessions, sessionActions } from "./people-sessions.js";
import { showRoles } from "./role-view.js";
import { can, config, onState, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { toast } from "./toast.js";

const people = new LiveTable("people", config.tables.people, { limit: 500, actions });
const tokens = new LiveTable("tokens", config.tables.tokens, { limit: 500, actions: tokenActions });
const keys = new LiveTable("keys", config.tables.keys, { actions: keyActions });
const sessions = new LiveTable("sessions", config.tables.sessions, { limit: 500, actions: sessionActions });
const matrix = new LiveTable("matrix", config.tables.matrix);
showRoles(document.getElementById("view-as"), document.getElementById("view-as-pages"));

function changed(row, { role, is_active }) {
  const payload = {};
  if (role !== row.role) payload.role = role;
  if (is_active === "yes") payload.is_active = true;
  return payload;
}

function actions(row) {
  const made = [endSessions(row), auditLink(`user:${row.username}`)].filter(Boolean);
  const other = row.is_active && row.username !== config.user;
  if (other && can("users.manage")) made.unshift(button("Link…", `Make the link of ${row.username}`, () => makeLink(row)));
  if (other && can("change.decide")) made.unshift(button("Code…", `Make the code of ${row.username}`, () => makeCode(row)));
  if (!can("users.manage")) return made;
  if (other && row.has_second_factor) made.unshift(button("Reset factor…", `Reset the second factor of ${row.username}`, () => resetFactor(row)));
  if (other) made.unshift(button("Switch off…", `Switch ${row.username} off`, () => switchOff(row)));
  return [button("Change…", `Change ${row.username}`, () => ask({
    title: `Change ${row.username}`,
    effect: "Files a request; nothing changes until a risk officer approves, who may not be the person concerned.",
    confirm: "Ask for it",
    fields: [field("role", "Role", { options: config.roles, value: row.role }), ...(row.is_active ? [] : [field("is_active", "Let in again", { options: ["yes", "no"], value: "yes" })])],
    request: (values) => ({ method: "POST", path: "/api/v1/approvals", body: { kind: "user.change", target: row.username, payload: changed(row, values), reason: values.reason } }),
    said: () => "Request filed.",
  })), ...made];
}

function resetFactor(row) {
  ask({
    title: `Reset the second factor of ${row.username}`,
    effect: "Files a request, for who has lost their phone and their recovery codes. A risk officer approves; then their sessions end, and their password alone lets them in until they set up another factor.",
    confirm: "Ask for it",
    request: ({ reason }) => ({ method: "POST", path: "/api/v1/approvals", body: { kind: "user.reset_second_factor", target: row.username, payload: {}, reason } }),
    said: () => "Request filed.",
  });
}

function switchOff(row) {
  ask({
    title: `Switch ${row.username} off`,
    effect: "At once: their sessions, live pages and tokens are refused from now on. Letting them in again takes a request.",
    confirm: "Switch off",
    request: ({ reason }) => ({ method: "POST", path: `/api/v1/people/${row.username}/deactivate`, body: { reason } }),
    said: () => "Switched off.",
  });
}

const half = document.getElementById("half-dialog");
const halfText = document.getElementById("half-text");

/** One half of an invitation: made, and shown once. */
function makeHalf(row, what, { title, effect, shown, member }) {
  ask({
    title, effect, confirm: "Make it", needsReason: false,
    intent: { do: what, username: row.username },
    request: () => ({ method: "POST", path: `/api/v1/people/${row.username}/${what}`, body: {} }),
    said: (_, body) => {
      document.getElementById("half-title").textContent = title;
      document.getElementById("half-effect").textContent = shown;
      halfText.value = body[member];
      document.getElementById("ask-dialog").close();
      half.showModal();
      halfText.select();
      return "Made.";
    },
  });
}

const theyChoose = (row) => (row.is_invited ? "They choose their password" : "Where they have lost their password they choose another one");
const makeLink = (row) => makeHalf(row, "link", {
  title: `Link for ${row.username}`,
  effect: `${theyChoose(row)} with it, and with a code that a risk officer makes. It works once, for a day; an earlier link ends.`,
  shown: `Give it to ${row.username} and to nobody else. A risk officer gives them the code.`,
  member: "link",
});
const makeCode = (row) => makeHalf(row, "code", {
  title: `Code for ${row.username}`,
  effect: `${theyChoose(row)} with it, and with a link that an admin makes. It works once, for a day; an earlier code ends.`,
  shown: `Tell it to ${row.username} yourself, and to nobody else, the admin least of all.`,
  member: "code",
});

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
  fields: [field("name", "For", { required: true }), field("days", `Days (1 to ${config.token_days})`, { type: "number", value: "30", required: true }), field("addresses", "Only from (addresses, by commas; none: anywhere)", { wide: true }), scopeBoxes()],
  request: (values) => ({
    method: "POST",
    path: "/api/v1/tokens",
    body: { name: values.name, days: Number(values.days), addresses: (values.addresses ?? "").split(",").map((part) => part.trim()).filter(Boolean), scopes: Object.keys(values).filter((name) => name.startsWith("scope.")).map((name) => name.slice("scope.".length)) },
  }),
  said: (_, body) => {
    text.value = body.token;
    document.getElementById("ask-dialog").close();
    shown.showModal();
    text.select();
    return "Made.";
  },
}));
/** Copy what a dialog shows once, and forget it when the dialog closes. */
function shownOnce(dialog, input, copy) {
  document.getElementById(copy).addEventListener("click", async () => {
    input.select();
    try {
      await navigator.clipboard.writeText(input.value);
      toast("Copied.");
    } catch (error) {
      if (!["NotAllowedError", "TypeError"].includes(error.name)) throw error;
      toast("Press Ctrl+C: the browser does not let a page copy here.", "bad");
    }
  });
  dialog.addEventListener("close", () => { input.value = ""; });
}
shownOnce(shown, text, "token-copy");
shownOnce(half, halfText, "half-copy");
document.getElementById("new-person")?.addEventListener("click", () => ask({
  title: "New person",
  effect: "Files a request; a risk officer approves. Then you make a link and the risk officer a code, and with both they choose their password.",
  confirm: "Ask for it",
  fields: [field("username", "User name", { required: true }), field("email", "E-mail", { type: "email", required: true }), field("role", "Role", { options: config.roles, value: "viewer" })],
  request: ({ username, email, role, reason }) => ({ method: "POST", path: "/api/v1/approvals", body: { kind: "user.create", target: username, payload: { role, email }, reason } }),
  said: () => "Request filed.",
}));
if (sessionStorage.getItem("nautilus.intent")?.includes('"do":"token"') && takeIntent()) document.getElementById("new-token").click();

let resumed = false;
onState((state) => {
  people.set(state.people);
  const waiting = document.getElementById("newcomers");
  waiting.hidden = state.newcomers.length === 0;
  waiting.textContent = `Waiting for a risk officer: ${state.newcomers.join(", ")}.`;
  const asked = resumed ? "" : sessionStorage.getItem("nautilus.intent") ?? "";
  resumed = true;
  if (asked.includes('"do":"link"') || asked.includes('"do":"code"')) {
    const intent = takeIntent();
    const row = state.people.find((person) => person.username === intent?.username);
    if (row?.is_active) (intent.do === "link" ? makeLink : makeCode)(row);
  }
  tokens.set(state.tokens);
  keys.set(state.keys);
  sessions.set(state.sessions);
  matrix.set(state.matrix);
  confirm("page", 0, 45);
});
start();
