import { call } from "./api.js";
import { ask, field } from "./ask.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { can, config, onEvent, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { complain, toast } from "./toast.js";

const RENEW_S = 5; // deliveries are not events
const LISTS = new Set(["chat_ids", "recipients"]);
const SEVERITIES = ["info", "success", "warning", "critical"];
const verdict = document.querySelector("[data-verdict]");
const reached = document.querySelector("[data-reach]");
const mayAsk = can("platform.propose");
const tables = {
  channels: new LiveTable("channels", config.tables.channels, { actions: mayAsk ? channelActions : () => [] }),
  routes: new LiveTable("routes", config.tables.routes, { actions: mayAsk ? routeActions : () => [] }),
  deliveries: new LiveTable("deliveries", config.tables.deliveries),
};
let names = [];

function channelActions(row) {
  const path = `/api/v1/notifications/channels/${encodeURIComponent(row.name)}`;
  if (!row.is_enabled) return [button("Enable…", `Enable ${row.name}`, () => ask({ title: `Enable ${row.name}`, effect: "It tells again, at once.", confirm: "Enable", request: ({ reason }) => ({ method: "POST", path: `${path}/enable`, body: { reason } }), said: () => "Enabled." }))];
  return [
    button("Test", `Send a test to ${row.name}`, () => test(path, row.name)),
    button(row.muted_until ? "Unmute…" : "Mute…", `Mute ${row.name}`, () => mute(path, row)),
    button("Disable…", `Ask to disable ${row.name}`, () => ask({ title: `Disable ${row.name}`, effect: "Nobody is told through it any more. This files a request for a second person.", confirm: "File the request", request: ({ reason }) => ({ method: "POST", path: `${path}/disable`, body: { reason } }), said: () => "Request filed." })),
  ];
}

async function test(path, name) {
  try {
    const { body } = await call("POST", `${path}/test`, {});
    toast(`A test to ${name} is on its way; the log below says how it went.`);
    refetchSoon(3000);
    await verdictOf(name, body.id);
  } catch (error) {
    complain(error);
  }
}

/** Wait for what became of a test, as long as a child and the tick that reads it may take. */
async function verdictOf(name, id) {
  for (let tries = 0; tries < 20; tries += 1) {
    await new Promise((done) => setTimeout(done, 2000));
    const { body } = await call("GET", `/api/v1/notifications/deliveries/${id}`);
    if (body.state === "sent") return toast(`${name} took the test, ${body.lag_s} s after it was asked for.`);
    if (body.state === "failed" || body.error) return toast(`${name} did not take the test: ${body.error}`, "bad");
  }
  return toast(`Nobody has sent the test to ${name} yet: is worker-jobs at work?`, "bad");
}

function mute(path, row) {
  const ends = Boolean(row.muted_until);
  ask({
    title: ends ? `Unmute ${row.name}` : `Mute ${row.name}`,
    effect: ends ? "What was held back is told now, in one message." : "What is not critical is held back and told in one message afterwards. A day at most.",
    confirm: ends ? "Unmute" : "Mute",
    fields: ends ? [] : [field("minutes", "Minutes", { type: "number", value: "60", required: true })],
    request: ({ minutes, reason }) => ({ method: "POST", path: `${path}/mute`, body: { minutes: ends ? 0 : Number(minutes), reason } }),
    said: (_, body) => (body.muted_until ? `Muted until ${body.muted_until}.` : "Not muted."),
  });
}

function routeActions(row) {
  return [button("Change…", `Change the route of ${row.kind} to ${row.channel}`, () => route(row))];
}

function route(row) {
  const fields = [
    field("channel", "Channel", { options: row ? [row.channel] : names }),
    field("kind", "Kind (*, breaker.*, kill.cancel)", { value: row?.kind ?? "", required: true }),
    field("severity", "From", { options: SEVERITIES, value: row?.severity ?? "warning" }),
    field("digest_s", "Collect for seconds", { type: "number", value: row?.digest_s ?? 0, required: true }),
    field("dedupe_s", "Same news once in seconds", { type: "number", value: row?.dedupe_s ?? 300, required: true }),
    field("is_enabled", "On", { options: ["yes", "no"], value: row && !row.is_enabled ? "no" : "yes" }),
  ];
  if (row) fields[1].querySelector("input").readOnly = true;
  ask({
    title: row ? `Route of ${row.kind}` : "New route",
    effect: "Telling more applies at once; telling less files a request for a second person.",
    confirm: "Set",
    fields,
    request: ({ channel, kind, severity, digest_s, dedupe_s, is_enabled, reason }) => ({ method: "PUT", path: "/api/v1/notifications/routes", body: { channel, kind, severity, digest_s: Number(digest_s), dedupe_s: Number(dedupe_s), is_enabled: is_enabled === "yes", reason } }),
    said: (status) => (status === 202 ? "Request filed; the route stays as it is until a second person approves." : "In force."),
  });
}

function channel() {
  const holder = document.createElement("div");
  holder.className = "fields wide";
  const kinds = config.channel_kinds;
  const chosen = field("kind", "Kind", { options: kinds.map(({ kind }) => kind) });
  const draw = () => {
    const spec = kinds.find(({ kind }) => kind === chosen.querySelector("select").value);
    holder.replaceChildren(
      ...spec.required.map((name) => field(`member.${name}`, LISTS.has(name) ? `${name} (separated by commas)` : name, { required: true, wide: true })),
      ...spec.optional.map((name) => field(`member.${name}`, `${name} (optional)`, { type: name === "password" ? "password" : "text", wide: true })),
    );
  };
  chosen.addEventListener("change", draw);
  draw();
  ask({
    title: "New channel",
    effect: "This files a request. Secrets are sealed at once and are never shown again, not to the second person either.",
    confirm: "File the request",
    fields: [field("name", "Name", { required: true }), chosen, holder],
    request: ({ name, kind, reason, ...rest }) => ({ method: "POST", path: "/api/v1/notifications/channels", body: { name, kind, members: members(rest), reason } }),
    said: () => "Request filed; nobody is told until a second person approves.",
  });
}

function members(values) {
  const named = Object.entries(values).filter(([key, value]) => key.startsWith("member.") && value !== "");
  return Object.fromEntries(named.map(([key, value]) => {
    const name = key.slice("member.".length);
    if (LISTS.has(name)) return [name, value.split(",").map((part) => part.trim()).filter(Boolean)];
    return [name, name === "port" ? Number(value) : value];
  }));
}

function reach({ severity, channels, but_for: butFor, some_kinds: some, nobody }) {
  const wide = [...channels, ...Object.entries(butFor).map(([name, kinds]) => `${name} (but for ${kinds.join(", ")})`)];
  const partly = some.length ? `, some kinds ${some.join(", ")}` : "";
  const named = nobody.filter((kind) => kind !== "*");
  const unheard = wide.length && named.length ? `, of ${named.join(", ")} nobody` : "";
  return `${severity}: ${wide.join(", ") || "nobody"}${partly}${unheard}`;
}

document.getElementById("new-channel")?.addEventListener("click", channel);
document.getElementById("new-route")?.addEventListener("click", () => route(null));
onState((state) => {
  names = state.channels.map(({ name }) => name);
  for (const name of Object.keys(tables)) tables[name].set(state[name]);
  const { waiting, lag_s: lag, behind } = state.summary;
  verdict.dataset.tone = lag > 60 || behind > 1000 ? "bad" : "good";
  verdict.textContent = `${waiting} waiting, late by ${Math.round(lag)} s; ${behind ?? 0} events not read yet.`;
  reached.dataset.tone = state.summary.reach[0].nobody.length ? "bad" : "good";
  reached.textContent = `Who hears what. ${state.summary.reach.map(reach).join("; ")}.`;
  confirm("page", 0, 20);
});
onEvent(() => refetchSoon(1500));
setInterval(() => document.visibilityState === "visible" && refetch(), RENEW_S * 1000);
start();
