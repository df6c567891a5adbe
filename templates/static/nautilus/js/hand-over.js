// Handing a request to somebody, giving it back, and being away: who should look, never who may decide.
import { call } from "./api.js";
import { ask, field } from "./ask.js";
import { fullTime } from "./format.js";
import { button } from "./order-actions.js";
import { can, config, refetch } from "./shell.js";
import { complain, toast } from "./toast.js";

const NO_POWER = "Whoever else may decide still can; nobody gets any power by it.";
const NOBODY = "nobody";

/** Ask to whom these requests go, and hand them over: one as itself, several each on its own. */
export function handOver(requests) {
  const [first, ...more] = requests;
  const names = requests.map(takers).reduce((left, right) => left.filter((name) => right.includes(name)));
  if (names.length === 0) return toast("Nobody else may decide all of these, or all of them are away.", "warn");
  return ask({
    title: more.length ? `Hand over ${requests.length} requests` : `Hand over ${first.kind} ${first.target}`,
    effect: `It stands in their inbox as theirs to decide, and they hear of it. ${NO_POWER}`,
    confirm: "Hand over",
    needsReason: false,
    fields: [field("to", "To", { options: names, required: true }), field("note", "Note", { lines: 2, wide: true })],
    request: ({ to, note }) => (more.length
      ? { method: "POST", path: "/api/v1/approvals/hand-over", body: { ids: requests.map((one) => one.id), to, note } }
      : { method: "POST", path: `/api/v1/approvals/${first.id}/hand-over`, body: { to, note } }),
    said: (status, body) => {
      if (!more.length) return `In the hands of ${body.to}.`;
      const refused = body.filter((one) => !one.handed);
      return `${body.length - refused.length} handed over${refused.length ? `, ${refused.length} not: ${refused[0].message}` : ""}.`;
    },
  });
}

/** Who it may be handed to: who may decide it, is here, and has it not already; oneself comes last. */
const takers = (request) => request.hand_to.filter((name) => name !== request.handed?.to).sort((left, right) => (left === config.user) - (right === config.user));

/** The line of a card that says whose it is and why, and its buttons; `show` renews both. */
export function buildHanded(request) {
  const line = document.createElement("p");
  line.className = "handed";
  const buttons = document.createElement("span");
  buttons.className = "handing";
  let latest = request;
  let shown = null;
  const title = `${request.kind} ${request.target}`;
  const show = (now) => {
    latest = now;
    line.hidden = !now.handed;
    if (now.handed) line.replaceChildren(...told(now));
    const wanted = [now.may_hand_over && takers(now).length > 0, now.may_hand_over && Boolean(now.handed)];
    if (String(wanted) === shown) return; // whoever has the focus on one of them keeps it
    shown = String(wanted);
    buttons.replaceChildren(...[
      wanted[0] && button("Hand over…", `Hand over ${title}`, () => handOver([latest])),
      wanted[1] && button("Give back", `Give ${title} back to everybody`, () => giveBack(latest)),
    ].filter(Boolean));
  };
  show(request);
  return { line, buttons, show };
}

function told({ handed, in_my_hands }) {
  const who = document.createElement("b");
  who.className = "tag";
  who.dataset.tone = in_my_hands ? "accent" : handed.holder ? "" : "warn";
  who.textContent = in_my_hands ? "yours to decide" : handed.holder ? `with ${handed.holder}` : "everybody's again";
  const you = (name) => (name === config.user ? "you" : name);
  const did = handed.to === handed.by ? `taken by ${you(handed.by)}` : `handed to ${you(handed.to)} by ${you(handed.by)}`;
  return [who, ` ${did}, ${fullTime(handed.at)}${handed.note ? `: “${handed.note}”` : ""}${handed.why ? ` (${handed.why})` : ""}`];
}

async function giveBack(request) {
  try {
    await call("POST", `/api/v1/approvals/${request.id}/hand-over`, { to: null, note: "" });
    toast(`${request.kind} ${request.target}: everybody's again`);
    refetch();
  } catch (error) {
    complain(error);
  }
}

/** Who is away, where the page says so: oneself with the way back, and everybody else. */
export function showAbsences(element, state) {
  const mine = state.absences[config.user];
  const others = Object.entries(state.absences).filter(([name]) => name !== config.user);
  const lines = [];
  if (mine) {
    const text = mine.stand_in ? `${mine.stand_in} has what is handed to you` : "what is handed to you is everybody's";
    lines.push(message(`You are away until ${fullTime(mine.until)}; ${text}.`, button("I am back", "Say that you are back", comeBack)));
  }
  if (others.length) lines.push(message(`Away: ${others.map(([name, one]) => `${name} until ${fullTime(one.until)}${one.stand_in ? ` (${one.stand_in} stands in)` : ""}`).join(", ")}.`));
  if (element.textContent === lines.map((line) => line.textContent).join("")) return;
  element.replaceChildren(...lines);
  element.hidden = lines.length === 0;
}

function message(text, ...more) {
  const line = document.createElement("p");
  line.className = "muted";
  line.append(text, ...(more.length ? [" ", ...more] : []));
  return line;
}

async function comeBack() {
  try {
    await call("DELETE", "/api/v1/absences/mine");
    toast("Welcome back: what was handed to you is yours again.");
    refetch();
  } catch (error) {
    complain(error);
  }
}

/** The button that says "I am away"; `standIns` tells who may stand in now. */
export function bindAway(element, standIns) {
  if (!element || !can("change.request")) return;
  element.hidden = false;
  element.addEventListener("click", () => {
    const names = standIns();
    ask({
      title: "I am away",
      effect: `Nobody hands you anything until then, and what is in your hands is the stand-in's where they may decide it, else everybody's. ${NO_POWER}`,
      confirm: "Say so",
      needsReason: false,
      fields: [field("until", "Until (UTC)", { type: "datetime-local", required: true }),
        ...(names.length ? [field("stand_in", "Stands in", { options: [NOBODY, ...names], value: NOBODY })] : [])],
      request: ({ until, stand_in }) => ({ method: "PUT", path: "/api/v1/absences/mine", body: { until: `${until}Z`, stand_in: !stand_in || stand_in === NOBODY ? null : stand_in } }),
      said: (status, body) => `You are away until ${fullTime(body.until)}${body.stand_in ? `; ${body.stand_in} stands in` : ""}.`,
    });
  });
}
