import { call, stepUp, takeIntent } from "./api.js";
import { facts } from "./explain-parts.js";
import { fullTime, seconds } from "./format.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { paint } from "./paint.js";
import { config, onState, refetch, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { showProblem, toast } from "./toast.js";

const history_ = new LiveTable("history", config.tables.history);
const box = document.getElementById("pending");
const cards = new Map();
const KIND_WORDS = {
  "limit.loosen": "Loosen a limit", "trading_state.lower": "Resume trading", "breaker.reset": "Reset a breaker",
  "strategy.enable": "Enable a strategy", "strategy.grant": "Grant a strategy more", "symbol.allow": "Allow a symbol",
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
    for (const one of buttons.children) one.disabled = true;
    try {
      const { body } = await call("POST", `/api/v1/approvals/${request.id}/${action}`, { note: note.value });
      toast(`${request.kind} ${request.target}: ${body.state}`);
      refetch();
    } catch (error) {
      if (error.code === "STEP_UP_REQUIRED") return stepUp({ do: action, request: request.id, note: note.value });
      showProblem(result, error);
      for (const one of buttons.children) one.disabled = false;
      if (error.status === 409) refetch();
    }
  };
  if (request.may_decide) buttons.append(button("Approve and apply", `Approve ${request.kind} ${request.target}`, decide("approve"), "button-primary"), button("Reject", `Reject ${request.kind} ${request.target}`, decide("reject")));
  else if (request.may_withdraw) buttons.append(button("Withdraw", `Withdraw ${request.kind} ${request.target}`, decide("reject")));
  else buttons.append(node("span", "Your role cannot decide this.", "muted"));
  card.append(head, node("p", request.reason), diffTable(request.diff), effect,
    facts([["asked by", request.requester], ["asked at", fullTime(request.created_at)], ["who may decide", request.deciders]]),
    ...(request.may_decide || request.may_withdraw ? [label] : []), result, buttons);
  return { card, note, countdown, expiresAt: performance.now() + request.expires_in_s * 1000 };
}

function tick() {
  for (const entry of cards.values()) {
    const left = (entry.expiresAt - performance.now()) / 1000;
    const text = left > 0 ? `expires in ${seconds(Math.floor(left)).replace(".0", "")}` : "expired";
    if (entry.countdown.textContent !== text) entry.countdown.textContent = text;
    entry.countdown.classList.toggle("warn", left < 300);
    if (left <= 0) for (const one of entry.card.querySelectorAll("footer button")) one.disabled = true;
  }
}

onState((state) => {
  history_.set(state.history);
  confirm("page", 0, 45);
  paint("pending", () => {
    const wanted = new Set(state.pending.map((request) => request.id));
    for (const [id, entry] of cards) if (!wanted.has(id)) { entry.card.remove(); cards.delete(id); }
    if (cards.size === 0) box.replaceChildren();
    for (const request of state.pending) {
      if (cards.has(request.id)) continue; // a note being typed is not lost by a renewal
      const entry = build(request);
      cards.set(request.id, entry);
      box.append(entry.card);
    }
    document.getElementById("pending-count").textContent = String(cards.size);
    document.getElementById("pending-empty").hidden = cards.size > 0;
    tick();
    const intent = sessionStorage.getItem("nautilus.intent") ? takeIntent() : null;
    const entry = intent && cards.get(intent.request);
    if (entry) {
      entry.note.value = intent.note;
      entry.card.scrollIntoView();
      toast("You are logged in afresh: decide now.");
    }
  });
});
setInterval(tick, 1000);
start();
