import { leaveOut, parameters, write } from "./address.js";
import { call, stepUp, takeIntent } from "./api.js";
import { auditLink } from "./audit-link.js";
import { facts } from "./explain-parts.js";
import { fullTime, seconds } from "./format.js";
import { confirm } from "./freshness.js";
import { bindAway, buildHanded, handOver, showAbsences } from "./hand-over.js";
import { button } from "./order-actions.js";
import { paint } from "./paint.js";
import { config, onState, refetch, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { showProblem, toast } from "./toast.js";

const history_ = new LiveTable("history", config.tables.history, { actions: (row) => auditLink(`${row.kind}:${row.target}`) });
// Only who may read the audit trail has these two on their page.
const reports = ["duties", "decisions"].filter((name) => document.querySelector(`[data-panel="${name}"]`))
  .map((name) => [name, new LiveTable(name, config.tables[name])]);
const bulk = document.getElementById("bulk");
const glass = document.getElementById("break-glass");
const SOON_S = 3600;
const VIEWS = {
  all: { keeps: () => true, none: ["Nothing waits for a decision.", "Loosening a limit, resuming after a halt, resetting a breaker or enabling a strategy files a request that appears here."] },
  decide: { keeps: (entry) => entry.request.may_decide, none: ["Nothing waits for you.", "Requests that your role may approve appear here; your own are decided by somebody else."] },
  handed: { keeps: (entry) => entry.request.in_my_hands, none: ["Nothing was handed to you.", "What somebody else asks you to decide appears here; anybody else who may can decide it, too."] },
  mine: { keeps: (entry) => entry.request.mine, none: ["You have asked for nothing that still waits.", "Your requests stay here until somebody else decides, or you withdraw them."] },
  soon: { keeps: (entry) => entry.expiresAt - performance.now() < SOON_S * 1000, none: ["Nothing expires within the hour.", "A request that nobody decides in time ends without effect."] },
};
const views = document.getElementById("views");
const asked = parameters().get("show");
if (asked !== null && !Object.hasOwn(VIEWS, asked)) leaveOut("show");
let view = Object.hasOwn(VIEWS, asked ?? "") ? asked : "all";
const box = document.getElementById("pending");
const cards = new Map();
const KIND_WORDS = {
  "blackout.end": "End a blackout early", "breaker.reset": "Reset a breaker", "breaker.rule": "Change a breaker's rule",
  "capital.allocate": "Grant capital beyond the envelope", "capital.quotas": "Grant more capital by a file", "capital.reset": "Give out capital again",
  "credential.replace": "Use another exchange key", "group.shrink": "Take a symbol out of a group", "limit.loosen": "Loosen a limit",
  "model.envelope": "Let models be promoted by themselves", "model.extend_canary": "Give a canary more time", "model.promote": "Promote a model", "notification.channel": "Set up a channel",
  "notification.channel_off": "Silence a channel", "notification.route": "Tell people less", "order.override": "Let one order pass",
  "playbook.change": "Loosen a playbook", "policy.activate": "Put a policy into force", "reconcile.adopt": "Adopt what the exchange says",
  "reconcile.period": "Compare the books less often", "schedule.change": "Run a job less often", "strategy.change": "Change what a strategy decides by",
  "strategy.enable": "Enable a strategy", "strategy.grant": "Grant a strategy more", "strategy.instance_enable": "Enable a symbol of a strategy", "strategy.listing_grant": "Let a strategy buy new listings", "capital.endorse": "Make the allocator's request your own",
  "symbol.allow": "Allow a symbol", "trading_state.lower": "Resume trading", "user.change": "Change a person's powers",
  "user.create": "Let a new person in", "user.reset_second_factor": "Reset a person's second factor", "audit.accept_loss": "Accept what a restore lost of the audit trail",
};
function node(tag, text = "", className = "") {
  const element = document.createElement(tag);
  if (text) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function diffTable(rows) {
  const table = node("table");
  const head = table.createTHead().insertRow();
  for (const title of ["What changes", "Now", "After"]) {
    const cell = node("th", title);
    cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  for (const row of rows) {
    const line = body.insertRow();
    for (const text of [row.field, row.before, row.after]) line.insertCell().textContent = text;
  }
  const scroll = node("div", "", "scroll");
  scroll.append(table);
  return scroll;
}

function build(request) {
  const card = node("article", "", "card");
  card.id = request.id;
  const head = node("header");
  const countdown = node("span", "", "age");
  const kind = node("b", KIND_WORDS[request.kind] ?? request.kind);
  head.append(kind, node("span", request.target, "mono"), countdown);
  if (request.mine) head.insertBefore(Object.assign(node("span", "yours", "tag")), countdown);
  const effect = node("div", "", "effect");
  effect.append(node("b", "Effect"), request.effect.length ? facts(request.effect.map((line) => [line.name, line.value])) : node("p", "Exactly the change above; no figures were given with the request.", "muted"));
  const note = document.createElement("textarea");
  note.maxLength = 2000;
  const label = node("label", "Note");
  label.append(note);
  const result = node("p", "", "message");
  result.hidden = true;
  result.setAttribute("role", "status");
  const buttons = node("footer", "", "row");
  const decide = (action) => async () => {
    for (const one of buttons.querySelectorAll("button")) one.disabled = true;
    try {
      const { body } = await call("POST", `/api/v1/approvals/${request.id}/${action}`, { note: note.value });
      toast(`${request.kind} ${request.target}: ${body.state}`);
      refetch();
    } catch (error) {
      if (error.code === "STEP_UP_REQUIRED") return stepUp({ do: action, request: request.id, note: note.value });
      showProblem(result, error);
      for (const one of buttons.querySelectorAll("button")) one.disabled = false;
      if (error.status === 409) refetch();
    }
  };
  if (request.may_decide) buttons.append(button("Approve and apply", `Approve ${request.kind} ${request.target}`, decide("approve"), "button-primary"), button("Reject", `Reject ${request.kind} ${request.target}`, decide("reject")));
  else if (request.may_withdraw) buttons.append(button("Withdraw", `Withdraw ${request.kind} ${request.target}`, decide("reject")));
  else buttons.append(node("span", "Your role cannot decide this.", "muted"));
  buttons.append(...[auditLink(`${request.kind}:${request.target}`)].filter(Boolean));
  const handed = buildHanded(request);
  buttons.append(handed.buttons);
  const pick = document.createElement("input");
  pick.type = "checkbox";
  pick.setAttribute("aria-label", `Choose ${request.kind} ${request.target}`);
  pick.addEventListener("change", sift);
  if (request.may_decide) head.prepend(pick);
  const thread = buildThread(request);
  const told = facts([["asked by", request.requester], ["asked at", fullTime(request.created_at)], ["who may decide", request.deciders]]);
  card.append(head, handed.line, node("p", request.reason), diffTable(request.diff), effect, told,
    thread.element, ...(request.may_decide || request.may_withdraw ? [label] : []), result, buttons);
  return { request, card, note, pick, thread, handed, deciders: told.lastElementChild, countdown, expiresAt: performance.now() + request.expires_in_s * 1000 };
}

/** What people asked and answered about a request, who handed it to whom, and where to add to it. */
function buildThread(request) {
  const element = node("details", "", "thread");
  const summary = node("summary");
  const list = node("ul");
  element.append(summary, list);
  const show = (lines) => {
    summary.textContent = lines.length ? `Said so far (${lines.length})` : "Ask back";
    list.replaceChildren(...lines.map((one) => {
      const line = node("li");
      line.append(node("b", one.author), ` ${fullTime(one.at)}${one.did ? ` ${one.did}` : ""}${one.text ? `: ${one.text}` : ""}`);
      return line;
    }));
    if (lines.length) element.open = true;
  };
  show(request.thread);
  if (!request.may_comment) {
    element.hidden = !request.thread.length;
    return { element, show };
  }
  const form = node("form", "", "row");
  const text = Object.assign(document.createElement("input"), { required: true, maxLength: 2000, size: 40 });
  text.setAttribute("aria-label", `Comment on ${request.kind} ${request.target}`);
  const result = node("p", "", "message");
  result.hidden = true;
  form.append(text, Object.assign(node("button", "Comment", "button-small button-quiet"), { type: "submit" }), result);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await call("POST", `/api/v1/approvals/${request.id}/comments`, { text: text.value });
      result.hidden = true;
      form.reset();
      refetch();
    } catch (error) {
      showProblem(result, error);
    }
  });
  element.append(form);
  return { element, show };
}

const chosen = () => [...cards.values()].filter((entry) => entry.pick.checked && !entry.card.hidden);

bulk.addEventListener("submit", async (event) => {
  event.preventDefault();
  const result = bulk.querySelector("[data-result]");
  try {
    const { body } = await call("POST", "/api/v1/approvals/reject", { ids: chosen().map((entry) => entry.request.id), note: bulk.note.value });
    const refused = body.filter((one) => !one.state);
    toast(`${body.length - refused.length} rejected${refused.length ? `, ${refused.length} not: ${refused[0].message}` : ""}`);
    result.hidden = true;
    bulk.reset();
    refetch();
  } catch (error) {
    if (error.code === "STEP_UP_REQUIRED") return stepUp({ do: "bulk", request: "", note: bulk.note.value });
    showProblem(result, error);
  }
});
bulk.querySelector("[data-hand-over]").addEventListener("click", () => handOver(chosen().map((entry) => entry.request)));
bulk.addEventListener("reset", () => {
  for (const entry of cards.values()) entry.pick.checked = false;
  sift();
});

/** Show the requests of the chosen view, say how many each view has, and what it means when it has none. */
function sift() {
  const entries = [...cards.values()];
  for (const pressed of views.querySelectorAll("button")) {
    const { keeps } = VIEWS[pressed.dataset.view];
    pressed.setAttribute("aria-pressed", String(pressed.dataset.view === view));
    pressed.querySelector("span").textContent = String(entries.filter(keeps).length);
  }
  const shown = entries.filter(VIEWS[view].keeps);
  for (const entry of entries) entry.card.hidden = !shown.includes(entry);
  const many = chosen().length;
  bulk.hidden = many === 0;
  bulk.querySelector("[data-chosen]").textContent = String(many);
  document.getElementById("pending-count").textContent = String(shown.length);
  const empty = document.getElementById("pending-empty");
  empty.hidden = shown.length > 0;
  const [title, text] = VIEWS[view].none;
  empty.replaceChildren(node("b", title), text);
}

views.addEventListener("click", (event) => {
  const pressed = event.target.closest("button");
  if (!pressed) return;
  view = pressed.dataset.view;
  write({ show: view === "all" ? "" : view });
  sift();
});

function tick() {
  for (const entry of cards.values()) {
    const left = (entry.expiresAt - performance.now()) / 1000;
    const text = left > 0 ? `expires in ${seconds(Math.floor(left)).replace(".0", "")}` : "expired";
    if (entry.countdown.textContent !== text) entry.countdown.textContent = text;
    entry.countdown.classList.toggle("warn", left < 300);
    if (left <= 0) for (const one of entry.card.querySelectorAll("footer button")) one.disabled = true;
  }
}

let standIns = [];
bindAway(document.getElementById("away"), () => standIns);
onState((state) => {
  standIns = state.stand_ins;
  showAbsences(document.getElementById("absences"), state);
  history_.set(state.history);
  for (const [name, table] of reports) table.set(state[name]);
  glass.hidden = state.break_glass.length === 0;
  glass.replaceChildren(...state.break_glass.map((row) => {
    const line = node("p", "", "message");
    line.dataset.tone = "bad";
    line.append(node("b", "Break-glass is open"), ` until ${fullTime(row.ends_at)}: ${row.admin} is an admin, ${row.risk_officer} a risk officer. ${row.reason}`);
    return line;
  }));
  confirm("page", 0, 45);
  paint("pending", () => {
    const wanted = new Set(state.pending.map((request) => request.id));
    for (const [id, entry] of cards) if (!wanted.has(id)) { entry.card.remove(); cards.delete(id); }
    if (cards.size === 0) box.replaceChildren();
    for (const request of state.pending) {
      const known = cards.get(request.id);
      if (known) { // a note being typed is not lost by a renewal
        known.request = request;
        known.thread.show(request.thread);
        known.handed.show(request);
        known.deciders.textContent = request.deciders;
        continue;
      }
      const entry = build(request);
      cards.set(request.id, entry);
      box.append(entry.card);
    }
    tick();
    sift();
    const intent = sessionStorage.getItem("nautilus.intent") ? takeIntent() : null;
    const entry = intent && cards.get(intent.request);
    if (entry) {
      entry.note.value = intent.note;
      entry.card.scrollIntoView();
      toast("You are logged in afresh: decide now.");
    }
  });
});
setInterval(() => { tick(); sift(); }, 1000);
start();
