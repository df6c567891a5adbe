// How the panels of this page stand: cells of its grid in the order of the markup, each with a width, a height, folded or not.
const COLUMNS = 12;
const NARROW = 4; // as the server: two panels that somebody made this narrow share a row of a tablet

export class Arrangement {
  constructor({ widths, heights }) {
    this.grid = document.querySelector("[data-arrangement]");
    this.widths = widths;
    this.heights = ["", ...heights];
  }

  get cells() {
    return [...this.grid.children].filter((child) => child.dataset.cell);
  }

  /** Those that can be seen now: not folded, and with something in them. */
  get shown() {
    return this.cells.filter((cell) => cell.checkVisibility());
  }

  get folded() {
    return this.cells.filter((cell) => cell.hidden);
  }

  named(name) {
    return this.cells.find((cell) => cell.dataset.cell === name);
  }

  /** As the API takes it. */
  read() {
    return this.cells.map((cell) => ({
      name: cell.dataset.cell,
      ...(cell.dataset.width === cell.dataset.ownWidth ? {} : { width: Number(cell.dataset.width) }),
      height: cell.dataset.height,
      folded: cell.hidden,
    }));
  }

  /** Stand as `places` say; panels that only others see are passed over, those without a place keep to their neighbour. */
  apply(places) {
    const known = new Map(this.cells.map((cell) => [cell.dataset.cell, cell]));
    let before = null;
    for (const place of places) {
      const cell = known.get(place.name);
      if (!cell) continue;
      this.setWidth(cell, place.width ?? Number(cell.dataset.ownWidth));
      this.setHeight(cell, place.height);
      cell.hidden = place.folded;
      const next = before ? before.nextElementSibling : this.grid.firstElementChild;
      if (next !== cell) this.#insert(cell, next);
      before = cell;
    }
    if (this.cells.every((cell) => cell.hidden)) for (const cell of this.cells) cell.hidden = false;
  }

  /** One place on among what can be seen: -1 before the panel in front, 1 behind the next; false at either end. */
  step(cell, by) {
    const shown = this.shown;
    const other = shown[shown.indexOf(cell) + by];
    if (!other) return false;
    this.place(cell, other, by > 0);
    return true;
  }

  place(cell, other, isBehind) {
    this.#insert(cell, isBehind ? other.nextElementSibling : other);
  }

  setWidth(cell, width) {
    if ("fixed" in cell.dataset) return;
    for (const columns of [...this.widths, COLUMNS]) cell.classList.remove(`span-${columns}`);
    cell.classList.add(`span-${width}`);
    cell.dataset.width = String(width);
    const isOwn = cell.dataset.width === cell.dataset.ownWidth;
    cell.classList.toggle("half-medium", isOwn ? "half" in cell.dataset : width <= NARROW);
  }

  /** The next width that there is; null where there is none. */
  nextWidth(cell, by) {
    const width = Number(cell.dataset.width);
    return (by > 0 ? this.widths.find((each) => each > width) : this.widths.findLast((each) => each < width)) ?? null;
  }

  setHeight(cell, height) {
    if ("scrolls" in cell.dataset) cell.dataset.height = height;
  }

  nextHeight(cell) {
    return this.heights[(this.heights.indexOf(cell.dataset.height) + 1) % this.heights.length];
  }

  // A node that moves loses the focus and how far its parts were scrolled.
  #insert(cell, before) {
    if (before === cell) return;
    const focused = cell.contains(document.activeElement) ? document.activeElement : null;
    const scrolled = [...cell.querySelectorAll(".scroll")].map((part) => [part, part.scrollTop, part.scrollLeft]);
    this.grid.insertBefore(cell, before);
    for (const [part, top, left] of scrolled) {
      part.scrollTop = top;
      part.scrollLeft = left;
    }
    focused?.focus({ preventScroll: true });
  }
}
