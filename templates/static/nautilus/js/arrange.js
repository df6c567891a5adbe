// Arranging a page: Shift+A or the button. Outside this mode nothing moves; inside it everything goes on being live.
import { call } from "./api.js";
import { dress, label, spokenHeight, spokenWidth, undress } from "./arrange-bar.js";
import { bindDrag } from "./arrange-drag.js";
import { bindShare } from "./arrange-share.js";
import { Arrangement } from "./arrangement.js";
import { showProblem, toast } from "./toast.js";

const SOURCES = { own: "as you arranged it", role: "as arranged for your role", page: "as it comes" };

export function bindArrange({ config }) {
  const { layout } = config;
  const box = document.getElementById("arrange");
  if (!box) return;
  const arrangement = new Arrangement(layout);
  const part = (name) => box.querySelector(`[data-${name}]`);
  const said = document.getElementById("arrange-said");
  const result = part("result");
  const done = part("arrange-done");
  let before = null; // how the page stood when arranging began; null outside the mode
  let resetTo = null; // whose arrangement it was reset to, if nothing was moved since
  let unbindDrag = null;
  let cameFrom = null;

  const say = (text) => { said.textContent = said.textContent === text ? `${text} ` : text; };
  const hasChanged = () => before !== null && (resetTo ? layout.source === "own" : JSON.stringify(arrangement.read()) !== JSON.stringify(before));
  const handleOf = (cell) => cell.querySelector("[data-handle]");

  const renew = () => {
    label(arrangement);
    part("source").textContent = resetTo ? SOURCES[resetTo] : hasChanged() ? "changed, not kept yet" : SOURCES[layout.source];
    const folded = arrangement.folded;
    const row = part("folded");
    row.hidden = folded.length === 0;
    row.replaceChildren(row.firstElementChild, ...folded.map((cell) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "button-small";
      button.textContent = `Show ${cell.dataset.title}`;
      button.dataset.show = cell.dataset.cell;
      button.addEventListener("click", () => unfold(cell));
      return button;
    }));
  };
  const changed = (words) => {
    resetTo = null;
    renew();
    say(words);
  };
  const seat = (cell) => `place ${arrangement.shown.indexOf(cell) + 1} of ${arrangement.shown.length}`;

  const verbs = {
    move(cell, by) {
      const focused = document.activeElement;
      if (!arrangement.step(cell, by)) return say(`${cell.dataset.title} is ${by < 0 ? "first" : "last"} already`);
      focused?.scrollIntoView({ block: "nearest" });
      changed(`${cell.dataset.title}: ${seat(cell)}`);
    },
    widen(cell, by) {
      const width = "fixed" in cell.dataset ? null : arrangement.nextWidth(cell, by);
      if (width === null) return say(`${cell.dataset.title} gets no ${by < 0 ? "narrower" : "wider"}`);
      arrangement.setWidth(cell, width);
      changed(spokenWidth(cell));
    },
    heighten(cell) {
      arrangement.setHeight(cell, arrangement.nextHeight(cell));
      changed(spokenHeight(cell));
    },
    fold(cell) {
      const shown = arrangement.shown;
      const next = shown[shown.indexOf(cell) + 1] ?? shown[shown.indexOf(cell) - 1];
      if (!next) return;
      cell.hidden = true;
      changed(`${cell.dataset.title} is folded away; it is listed at the foot of the window`);
      handleOf(next).focus();
    },
  };

  const unfold = (cell) => {
    cell.hidden = false;
    changed(`${cell.dataset.title} is back: ${seat(cell)}`);
    cell.scrollIntoView({ block: "center" });
    handleOf(cell).focus({ preventScroll: true });
  };

  const enter = () => {
    if (before !== null) return document.getElementById("arrange-title").focus();
    cameFrom = document.activeElement;
    before = arrangement.read();
    resetTo = null;
    result.hidden = true;
    for (const cell of arrangement.cells) dress(cell, verbs);
    unbindDrag = bindDrag(arrangement, {
      dropped(cell, other, isBehind) {
        arrangement.place(cell, other, isBehind);
        cell.scrollIntoView({ block: "nearest" });
        changed(`${cell.dataset.title}: ${seat(cell)}`);
      },
      pulled(cell, width, height) {
        arrangement.setWidth(cell, width);
        arrangement.setHeight(cell, height);
        changed(spokenWidth(cell));
      },
    });
    document.documentElement.dataset.arranging = "";
    box.hidden = false;
    renew();
    document.getElementById("arrange-title").focus({ preventScroll: true });
    say("Arranging this page. Each panel has a bar above it; Done and Cancel are at the foot of the window.");
  };

  const leave = (words) => {
    for (const cell of arrangement.cells) undress(cell);
    unbindDrag();
    before = null;
    delete document.documentElement.dataset.arranging;
    box.hidden = true;
    const folded = arrangement.folded.map((cell) => cell.dataset.title);
    const note = document.querySelector("[data-folded-away]");
    note.hidden = folded.length === 0;
    note.querySelector("span").textContent = folded.join(", ");
    const back = cameFrom?.isConnected && cameFrom.checkVisibility() && cameFrom !== document.body ? cameFrom : document.getElementById("arrange-open");
    back.focus();
    say(words);
  };

  done.addEventListener("click", async () => {
    if (!hasChanged()) return leave("Nothing was changed");
    done.disabled = true;
    result.hidden = true;
    try {
      const { body } = await (resetTo ? call("DELETE", layout.url) : call("PUT", layout.url, { panels: arrangement.read() }));
      layout.source = body.source;
      arrangement.apply(body.panels);
      leave("The page is arranged");
      toast(resetTo ? `This page is ${SOURCES[layout.source]} again.` : "Kept: this page stands like this wherever you log in.");
    } catch (error) {
      showProblem(result, error); // the mode stays, and with it what was arranged
    } finally {
      done.disabled = false;
    }
  });
  part("arrange-cancel").addEventListener("click", () => {
    arrangement.apply(before);
    leave("Everything stands as before");
  });
  part("arrange-reset").addEventListener("click", async (event) => {
    const button = event.currentTarget;
    button.disabled = true;
    result.hidden = true;
    try {
      const { body } = await call("GET", layout.reset_url);
      if (before === null) return;
      arrangement.apply(body.panels);
      resetTo = body.source;
      renew();
      say(`Reset: ${SOURCES[resetTo]}. Done keeps it.`);
    } catch (error) {
      showProblem(result, error);
    } finally {
      button.disabled = false;
    }
  });
  bindShare({ layout, read: () => arrangement.read() });

  document.addEventListener("click", (event) => event.target.closest("[data-open-arrange]") && enter());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "A" || !event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable], dialog")) return;
    event.preventDefault();
    enter();
  });
  window.addEventListener("beforeunload", (event) => hasChanged() && event.preventDefault());
}
