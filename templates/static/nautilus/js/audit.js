// The audit trail: search by its address, an entry's before and after, the chain's state, a full verification on demand.
import { call } from "./api.js";
import { facts, node } from "./explain-parts.js";
import { ask } from "./ask.js";
import { confirm } from "./freshness.js";
import { fullTime } from "./format.js";
import { button } from "./order-actions.js";
import { bindFilters, bindOlder } from "./page-filters.js";
import { can, config, onState, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { showProblem } from "./toast.js";

const FOLLOW_MS = 1000;
const dialog = document.getElementById("entry");
const showOlder = bindOlder(document.getElementById("older"));
const table = new LiveTable("entries", config.tables.entries, {
  actions: (row) => [button("Details", `Details of entry ${row.id}`, () => open(row), "button-small button-quiet")],
  onOpen: open,
});

function changesTable(changes) {
  const grid = node("table");
  const head = grid.createTHead().insertRow();
  for (const title of ["Member", "Before", "After"]) {
    const cell = node("th", title);
    cell.scope = "col";
    head.append(cell);
  }
  const body = grid.createTBody();
  for (const change of changes) {
    const line = body.insertRow();
    line.insertCell().textContent = change.path || "value";
    for (const [name, text] of [["down", change.before], ["up", change.after]]) {
      const cell = line.insertCell();
      cell.className = "wrap";
      const mark = node(name === "down" ? "del" : "ins", text, name);
      cell.append(text === "–" ? "–" : mark);
    }
  }
  const scroll = node("div", "", "scroll");
  scroll.append(grid);
  return scroll;
}

function link(text, filter) {
  const element = node("a", text);
  element.href = `/audit/?${new URLSearchParams(filter)}`;
  return element;
}

function open(row) {
  document.getElementById("entry-title").textContent = `Entry ${row.id}`;
  const links = node("p", "", "row");
  links.append(link("All to this target", { target: row.target }), link(`All by ${row.actor}`, { actor: row.actor }), link("All of this kind", { action: row.action_name }));
  if (row.target.startsWith("order:")) {
    const order = node("a", "Explain the order");
    order.href = `/orders/?explain=${row.target.slice("order:".length)}`;
    links.append(order);
  }
  document.getElementById("entry-body").replaceChildren(
    facts([["at", fullTime(row.at)], ["who", row.actor], ["did", row.action_name], ["to", row.target], ["reason", row.reason], ["request", row.request_id], ["chain", row.sealed.text]]),
    row.changes.length ? changesTable(row.changes) : node("p", "Before and after are equal, or the entry has none.", "muted"),
    ...(row.more ? [node("p", `${row.more} more members changed; the API has all of them.`, "muted")] : []),
    links,
  );
  if (!dialog.open) dialog.showModal();
}

bindFilters(document.getElementById("filters"));
dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());

const verify = document.getElementById("verify");
const verdict = document.getElementById("verdict");
const bar = document.getElementById("progress");
const accept = document.getElementById("accept");
let followed = null;
let target = "";

/** What the newest verification is at, or found. */
function told(row) {
  const runs = row.state === "running";
  verify.disabled = runs;
  accept.hidden = row.state !== "broken" || !can("change.request");
  bar.hidden = !runs;
  verdict.hidden = false;
  verdict.dataset.tone = runs ? "" : row.state === "intact" ? "good" : "bad";
  if (runs) {
    bar.value = row.total ? Math.min(row.rows / row.total, 1) : 0;
    verdict.textContent = `${row.rows.toLocaleString("en")} of ${row.total.toLocaleString("en")} entries compared with the chain…`;
  } else {
    const at = row.finished_at ? ` (${fullTime(row.finished_at)})` : "";
    verdict.textContent = row.state === "intact" ? `Intact: ${row.rows} entries sealed, ${row.unsealed} waiting, ${row.lost} seals known to be lost${at}.` : `BROKEN${row.first_bad_id ? ` at entry ${row.first_bad_id}` : ""}: ${row.problem}${at}.`;
  }
}

async function follow(id) {
  if (followed === id) return;
  followed = id;
  try {
    for (;;) {
      const { body } = await call("GET", `/api/v1/audit/verifications/${id}`);
      told(body);
      if (body.state !== "running") break;
      await new Promise((done) => setTimeout(done, FOLLOW_MS));
    }
  } catch (error) {
    showProblem(verdict, error);
    verify.disabled = false;
  } finally {
    followed = null;
  }
}

accept.addEventListener("click", () => ask({
  title: "Accept what a restore lost",
  effect: "Asks a second person to accept that the seals which head file and chain say differently, and signed lines nobody can check, are lost. They are named one by one in an entry of the trail and in the head file; anything else that is wrong stays broken. Only after a restore or a new machine.",
  confirm: "File the request",
  request: ({ reason }) => ({ method: "POST", path: "/api/v1/approvals", body: { kind: "audit.accept_loss", target, payload: {}, reason } }),
  said: () => "Request filed; another risk officer decides it under Approvals.",
}));

verify.addEventListener("click", async () => {
  verify.disabled = true;
  try {
    const { body } = await call("POST", "/api/v1/audit/verifications");
    told(body);
    follow(body.id);
  } catch (error) {
    showProblem(verdict, error);
    verify.disabled = false;
  }
});

onState((state) => {
  table.set(state.entries);
  showOlder(state.older);
  document.getElementById("stopped").hidden = !state.stopped;
  const next = new URLSearchParams(Object.entries(state.filter).filter(([name, value]) => value && name !== "before"));
  document.getElementById("export").href = `/api/v1/audit/export?${next}`;
  const signed = document.getElementById("export-signed");
  signed.href = `/api/v1/audit/export?${new URLSearchParams([...next, ["format", "bundle"]])}`;
  signed.hidden = !state.signing.can_sign;
  const { chain } = state;
  target = chain.loss_target;
  const lamp = document.querySelector('[data-chain="lamp"]');
  lamp.dataset.tone = chain.lamp.tone;
  lamp.textContent = chain.lamp.text;
  for (const [name, text] of [["seal", chain.seal ? `${chain.seal} at ${fullTime(chain.sealed_at)}` : "none yet"], ["waiting", chain.waiting], ["lost", String(chain.lost)], ["accepted", chain.accepted.join("; ") || "–"], ["key", state.signing.public_key || "none on this host"], ["head", chain.head || "–"]]) {
    document.querySelector(`[data-chain="${name}"]`).textContent = text;
  }
  if (state.verification && followed === null) {
    told(state.verification);
    if (state.verification.state === "running") follow(state.verification.id);
  }
  confirm("page", 0, 45);
});
start();
