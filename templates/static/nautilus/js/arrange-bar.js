// What can be done with one panel while a page is arranged: a bar above it, and a grip at its corner for the pointer.
const WIDTH_WORDS = { 3: "¼", 4: "⅓", 6: "½", 8: "⅔", 9: "¾", 12: "full" };
const WIDTH_SPOKEN = { 3: "a quarter", 4: "a third", 6: "half", 8: "two thirds", 9: "three quarters", 12: "all" };
const heightOf = (cell) => cell.dataset.height || "auto";

export function spokenWidth(cell) {
  return `${cell.dataset.title}: ${WIDTH_SPOKEN[cell.dataset.width] ?? cell.dataset.width} of the page's width`;
}

export function spokenHeight(cell) {
  return `${cell.dataset.title}: height ${heightOf(cell)}`;
}

function button(text, label, act, attributes = {}) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = text;
  element.setAttribute("aria-label", label);
  element.title = label;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.addEventListener("click", () => element.getAttribute("aria-disabled") !== "true" && act());
  return element;
}

/** Bar and grip of a cell. `verbs`: move(cell, by), widen(cell, by), heighten(cell), fold(cell). */
export function dress(cell, verbs) {
  const { title } = cell.dataset;
  const bar = document.createElement("div");
  bar.className = "arrange-bar";
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", `Arrange ${title}`);
  const handle = button(`⠿ ${title}`, `Move ${title}`, () => {}, { "data-handle": "", "aria-describedby": "arrange-help" });
  handle.className = "arrange-handle";
  handle.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowUp: () => verbs.move(cell, -1),
      ArrowDown: () => verbs.move(cell, 1),
      ArrowLeft: () => verbs.widen(cell, -1),
      ArrowRight: () => verbs.widen(cell, 1),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  const end = document.createElement("span");
  end.className = "end";
  end.append(
    button("↑", `Move ${title} up`, () => verbs.move(cell, -1), { "data-up": "" }),
    button("↓", `Move ${title} down`, () => verbs.move(cell, 1), { "data-down": "" }),
  );
  if (!("fixed" in cell.dataset)) {
    const widths = document.createElement("span");
    widths.className = "end widths";
    widths.append(
      button("−", `Make ${title} narrower`, () => verbs.widen(cell, -1), { "data-narrower": "" }),
      document.createElement("output"),
      button("+", `Make ${title} wider`, () => verbs.widen(cell, 1), { "data-wider": "" }),
    );
    end.append(widths);
  }
  if ("scrolls" in cell.dataset) end.append(button("", "", () => verbs.heighten(cell), { "data-heighten": "" }));
  if ("stays" in cell.dataset) {
    const stays = document.createElement("span");
    stays.className = "stays";
    stays.textContent = "always shown";
    stays.title = "It shows what is urgent: it can be moved, not folded away";
    end.append(stays);
  } else end.append(button("Fold away", `Fold away ${title}`, () => verbs.fold(cell), { "data-fold": "" }));
  bar.append(handle, end);
  cell.prepend(bar);
  if (!("fixed" in cell.dataset)) {
    const grip = document.createElement("span");
    grip.className = "arrange-grip";
    grip.dataset.grip = "";
    grip.setAttribute("aria-hidden", "true");
    cell.append(grip);
  }
}

export function undress(cell) {
  cell.querySelector(":scope > .arrange-bar")?.remove();
  cell.querySelector(":scope > .arrange-grip")?.remove();
}

/** Say on every bar what can be done now. What cannot keeps the focus, so that a keyboard does not lose its place. */
export function label(arrangement) {
  const shown = arrangement.shown;
  const able = (cell, name, isAble) => cell.querySelector(`[data-${name}]`)?.setAttribute("aria-disabled", String(!isAble));
  for (const cell of arrangement.cells) {
    able(cell, "up", cell !== shown[0]);
    able(cell, "down", cell !== shown.at(-1));
    able(cell, "narrower", arrangement.nextWidth(cell, -1) !== null);
    able(cell, "wider", arrangement.nextWidth(cell, 1) !== null);
    able(cell, "fold", shown.length > 1);
    const width = cell.querySelector(".widths output");
    if (width) width.textContent = WIDTH_WORDS[cell.dataset.width] ?? cell.dataset.width;
    const height = cell.querySelector("[data-heighten]");
    if (!height) continue;
    height.textContent = `↕ ${heightOf(cell)}`;
    height.setAttribute("aria-label", `Height of ${cell.dataset.title}: ${heightOf(cell)}`);
    height.title = "Another height";
  }
}
