// The game day: playbooks rehearsed one after another, how far that has come, calling it off.
import { ask } from "./ask.js";
import { clock } from "./format.js";
import { can, config } from "./shell.js";

const begin = document.getElementById("game-day");
const panel = document.querySelector("[data-game]");
const cancel = panel.querySelector("[data-game-cancel]");
const mayOperate = config.environment === "local" && can("playbooks.operate");
let books = [];
let day = null;

/** Whoever begins it ends each with an undo, or a review, in their own name. */
export const mayRehearse = (row) => mayOperate && row.rehearsable && row.rehearsal_takes.every(can);

begin.addEventListener("click", () => ask({
  title: "Game day",
  effect: "The chosen playbooks are rehearsed one after another: each fault is put into the paper exchange, the playbook acts for real, the fault is taken out and the undo is filed in your name. The next one waits ten minutes at most for what was done to be taken back, so have a second person approve. Hard stops come last.",
  confirm: "Begin",
  fields: [choices()],
  request: ({ reason, ...picked }) => ({ method: "POST", path: "/api/v1/playbooks/game-days", body: { playbooks: Object.keys(picked).filter((name) => name.startsWith("pick.")).map((name) => name.slice(5)), reason } }),
  said: (_, body) => `It has begun, with ${body.playbooks.length} playbooks; ${body.playbooks[0].playbook} is the first.`,
}));

cancel.addEventListener("click", () => ask({
  title: "Cancel the game day",
  effect: "No other playbook is rehearsed. The fault that is in is taken out now, and marked as far as it came.",
  confirm: "Cancel it",
  request: ({ reason }) => ({ method: "POST", path: `/api/v1/playbooks/game-days/${day.id}/cancel`, body: { reason } }),
  said: () => "Canceled.",
}));

function choices() {
  const group = document.createElement("fieldset");
  group.className = "checks wide";
  const legend = document.createElement("legend");
  legend.textContent = "Playbooks";
  group.append(legend);
  for (const row of books.filter(mayRehearse)) {
    const label = document.createElement("label");
    const box = document.createElement("input");
    Object.assign(box, { type: "checkbox", name: `pick.${row.name}`, checked: row.is_armed });
    label.append(box, row.name);
    group.append(label);
  }
  return group;
}

export function showGameDay(state) {
  books = state.playbooks;
  day = state.game_day;
  begin.hidden = !books.some(mayRehearse) || day?.state === "running";
  panel.hidden = day === null;
  if (!day) return;
  const running = day.state === "running";
  const score = day.score === null ? "" : `, ${day.score} of 100 on average`;
  const waits = day.waits_until ? ` The next waits for the undo of ${day.waits_for.join(", ")}, until ${clock(day.waits_until)} at most.` : "";
  panel.querySelector("[data-game-said]").textContent = `Game day of ${day.requested_by}, ${clock(day.started_at)}: ${day.state}, ${day.finished} of ${day.playbooks.length} had their turn${score}.${waits}`;
  const progress = panel.querySelector("[data-game-progress]");
  progress.hidden = !running;
  progress.max = day.playbooks.length;
  progress.value = day.finished;
  cancel.hidden = !running || !mayOperate;
}
