// One incident: what was known, what was done, what came of it, and what a person may do now.
import { call } from "./api.js";
import { ask, field } from "./ask.js";
import { auditLink } from "./audit-link.js";
import { clock } from "./format.js";
import { button } from "./order-actions.js";
import { can } from "./shell.js";
import { complain } from "./toast.js";

const dialog = document.getElementById("incident-dialog");
const WIDTH = 600;
const HEIGHT = 80;

dialog.querySelector("[data-close-incident]").addEventListener("click", () => dialog.close());

export async function openIncident(id) {
  try {
    const { body } = await call("GET", `/state/incidents/${id}/`);
    draw(body);
    if (!dialog.open) dialog.showModal();
  } catch (error) {
    complain(error);
  }
}

function draw(incident) {
  document.getElementById("incident-title").textContent = `${incident.is_rehearsal ? "Rehearsal: " : ""}${incident.title}`;
  const reviewed = incident.reviewed_by ? ` Reviewed by ${incident.reviewed_by}: ${incident.review}` : incident.needs_review ? " A person must review it before anything is undone." : "";
  dialog.querySelector("[data-summary]").textContent = `${incident.kind} on ${incident.scope}, ${incident.severity}, ${incident.state}.${reviewed}`;
  dialog.querySelector("[data-chart]").replaceChildren(...chart(incident.evidence.equity ?? []));
  dialog.querySelector("[data-steps]").replaceChildren(...incident.actions.map((action) => item(`${action.verb} ${action.scope}: ${JSON.stringify(action.before)} → ${JSON.stringify(action.after)}, ${action.state}${action.error ? ` (${action.error})` : ""}${action.undo_request && action.state !== "undone" ? ", undo asked for" : ""}${standing(action)}`)));
  dialog.querySelector("[data-after]").replaceChildren(...incident.after_actions.flatMap(written));
  dialog.querySelector("[data-timeline]").replaceChildren(...incident.timeline.map((entry) => item(`${clock(entry.at)} ${entry.actor}: ${entry.what}`)));
  dialog.querySelector("[data-verbs]").replaceChildren(...verbs(incident));
}

/** What stands in the way of taking a step back. */
function standing(action) {
  if (action.standing === "replaced") return `; not taken back with it: ${action.standing_said}`;
  return action.standing === "over" ? `; over: ${action.standing_said}` : "";
}

function written(after) {
  const told = [["What happened", after.what_happened], ["Root cause", after.root_cause], ["What will change", after.what_will_change]];
  const title = document.createElement("h2");
  title.textContent = `After-action by ${after.author}, ${clock(after.at)}`;
  const list = document.createElement("dl");
  for (const [name, text] of told) {
    const [term, said] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    said.textContent = text;
    list.append(term, said);
  }
  return [title, list];
}

function afterAction(incident) {
  dialog.close();
  const text = (name, title) => field(name, title, { lines: 3, required: true, wide: true });
  ask({
    title: `After-action of incident ${incident.id}`,
    effect: `${incident.title}. It is kept with the incident and in the audit trail; what was written before stays beside it.`,
    confirm: "Keep it",
    fields: [text("what_happened", "What happened"), text("root_cause", "Root cause"), text("what_will_change", "What will change")],
    needsReason: false,
    request: ({ what_happened, root_cause, what_will_change }) => ({ method: "POST", path: `/api/v1/incidents/${incident.id}/after-action`, body: { what_happened, root_cause, what_will_change } }),
    said: () => "Kept with the incident.",
  });
}

function item(text) {
  const element = document.createElement("li");
  element.textContent = text;
  return element;
}

function chart(points) {
  if (points.length < 2) return [];
  const values = points.map(([, value]) => Number(value));
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `Equity before the incident, from ${values[0]} to ${values.at(-1)}`);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("fill", "none");
  line.setAttribute("stroke", "currentColor");
  line.setAttribute("points", values.map((value, index) => `${(index / (values.length - 1)) * WIDTH},${HEIGHT - 4 - ((value - low) / (high - low || 1)) * (HEIGHT - 8)}`).join(" "));
  svg.append(line);
  const caption = document.createElement("p");
  caption.className = "muted";
  caption.textContent = `Equity before it: ${points[0][1]} at ${clock(points[0][0])}, ${points.at(-1)[1]} at ${clock(points.at(-1)[0])}.`;
  return [svg, caption];
}

function verbs(incident) {
  const path = `/api/v1/incidents/${incident.id}`;
  const made = [];
  const then = (title, effect, confirm, route, said, intent = null) => button(title, title, () => {
    dialog.close();
    ask({ title, effect, confirm, request: ({ reason }) => ({ method: "POST", path: `${path}/${route}`, body: { reason } }), said, intent });
  });
  if (incident.needs_review && incident.state !== "closed" && can("incidents.review")) made.push(then("Review…", "Say what the cause was and why it is over. Undo becomes possible then.", "Review", "review", () => "Reviewed.", { do: "review" }));
  if (incident.undo_offered && !incident.needs_review && can("risk.propose")) made.push(then("Undo…", "Files one request for every step that is still in force. A second person approves each.", "File the requests", "undo", (_, body) => `${body.length} request${body.length === 1 ? "" : "s"} filed; see Approvals.`));
  if (incident.state !== "closed" && can("playbooks.operate")) made.push(then("Close…", "Closes the incident. Nothing is undone by it.", "Close it", "close", () => "Closed."));
  if (can("playbooks.operate")) made.push(button("After-action…", `After-action of incident ${incident.id}`, () => afterAction(incident)));
  return [...made, ...[auditLink(`incident:${incident.id}`)].filter(Boolean)];
}
