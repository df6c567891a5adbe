// The explain drawer: why an order exists, what each rail measured, what the exchange said, where the time went.
import { write } from "./address.js";
import { call } from "./api.js";
import { auditLink } from "./audit-link.js";
import { checksTable, facts, node } from "./explain-parts.js";
import { clock, fullTime } from "./format.js";
import { showProblem } from "./toast.js";

const dialog = document.getElementById("explain");
const body = document.getElementById("explain-body");

function waterfall(steps) {
  const SVG = "http://www.w3.org/2000/svg";
  const make = (name, attributes, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    return element;
  };
  const total = Math.max(1, steps.at(-1)?.since_start_ms ?? 1);
  const svg = make("svg", { class: "waterfall", viewBox: `0 0 640 ${steps.length * 24 + 4}`, role: "img", "aria-label": "Latency waterfall" });
  steps.forEach((step, index) => {
    const from = ((step.since_start_ms - step.since_previous_ms) / total) * 330;
    const width = Math.max(2, (step.since_previous_ms / total) * 330);
    svg.append(
      make("text", { x: 0, y: index * 24 + 16 }, step.step.replace("_", " ")),
      make("rect", { x: 120 + from, y: index * 24 + 6, width, height: 12, rx: 2, class: step.since_previous_ms > 1000 ? "late" : "" }),
      make("text", { x: 470, y: index * 24 + 16 }, `+${step.since_previous_ms} ms · ${step.since_start_ms} ms`),
    );
  });
  return svg;
}

function timeline(items) {
  const list = node("ul", "", "timeline");
  for (const { at, text } of items) {
    const item = node("li");
    const time = node("time", clock(at));
    time.dateTime = at;
    time.title = fullTime(at);
    item.append(time, node("span", text));
    list.append(item);
  }
  return list;
}

function section(title, content, teach) {
  return [node("h2", title), content ?? node("p", teach, "muted")];
}

export async function openExplain(id) {
  body.replaceChildren(node("p", "Reading …", "muted"));
  if (!dialog.open) dialog.showModal();
  write({ explain: id });
  try {
    const { body: told } = await call("GET", `/api/v1/orders/${encodeURIComponent(id)}/explain`);
    draw(told);
  } catch (error) {
    const message = node("p", "", "message");
    body.replaceChildren(message);
    showProblem(message, error);
  }
}

function draw(told) {
  const { order, request, decision, plan, rails, denial, venue_messages: messages, events, fills, latency, adjustments } = told;
  document.getElementById("explain-title").textContent = `${order.side} ${order.quantity} ${order.symbol} · ${order.status}`;
  const signal = decision && facts([
    ["strategy", decision.strategy], ["target", decision.target], ["reason", decision.reason], ["confidence", decision.confidence],
    ["bar closed at", decision.price], ["decided", fullTime(decision.decided_at)], ["features", decision.features && Object.keys(decision.features).length ? decision.features : null],
  ]);
  const planned = plan && facts([
    ["plan", `version ${plan.version}`], ["from", plan.position_quantity], ["to", plan.target_quantity],
    ["shares", plan.shares.map((share) => `${share.strategy} ${share.share}`).join(", ")], ["notes", plan.notes?.length ? plan.notes.map((n) => (typeof n === "string" ? n : JSON.stringify(n))).join("; ") : null],
  ]);
  const denied = denial && node("p", `${denial.code}: ${denial.message}`, "message");
  if (denied) denied.dataset.tone = "warn";
  body.replaceChildren(
    ...(denied ? [denied] : []),
    facts([
      ["id", order.id], ["client order id", order.client_order_id], ["exchange order id", order.venue_order_id], ["account", order.account],
      ["type", `${order.type} sent as ${request.sent_as} ${request.time_in_force ?? ""}`], ["price", order.price], ["filled", `${order.executed_quantity}${order.average_price ? ` at ${order.average_price}` : ""}`],
      ["asked by", request.requested_by ?? request.origin], ["middle at arrival", request.arrival_mid], ["cancel", request.cancel_reason],
    ]),
    ...[auditLink(`order:${order.id}`)].filter(Boolean),
    ...section("Why", signal, request.origin === "strategy" ? "Asked for by a strategy; its decision is not linked to this order." : `Asked for by ${request.requested_by ?? request.origin}, not by a strategy's decision.`),
    ...(planned ? [planned] : []),
    ...section("Rails: measured against limit", rails?.length ? checksTable(rails) : null, "No rail was recorded for this order."),
    ...(adjustments?.length ? section("Adjusted before sending", node("p", adjustments.map((a) => (typeof a === "string" ? a : JSON.stringify(a))).join("; "))) : []),
    ...section("Where the time went", latency?.length ? waterfall(latency) : null, "Not sent."),
    ...section("Events", events?.length ? timeline(events.map((event) => ({ at: event.at, text: `${event.status} · ${event.source}${Object.keys(event.detail ?? {}).length ? ` · ${JSON.stringify(event.detail)}` : ""}` }))) : null, "No event."),
    ...section("Fills", fills?.length ? timeline(fills.map((fill) => ({ at: fill.at, text: `${fill.quantity} @ ${fill.price}, fee ${fill.fee} ${fill.fee_asset}${fill.maker ? ", maker" : ""}` }))) : null, "No fill."),
    ...section("Exchange messages", messages?.length ? timeline(messages.map((m) => ({ at: m.received_at, text: `${m.kind} ${JSON.stringify(m.payload)}` }))) : null, "The exchange has sent nothing about this order on the user stream."),
  );
}

dialog.addEventListener("close", () => {
  write({ explain: "" });
});
