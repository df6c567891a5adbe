// A live table over server-rendered markup: keyed rows, only changed cells are written, bounded in length.
import { cellText, fillCell, isAligned } from "./cells.js";
import { paint } from "./paint.js";
import { TableViews } from "./table-views.js";

export class LiveTable {
  /** `columns`: [{key, title, kind}], `options`: {rowKey, limit, actions, onOpen, order} */
  constructor(name, columns, options = {}) {
    this.name = name;
    this.columns = columns;
    this.options = { rowKey: "id", limit: 200, ...options };
    this.panel = document.querySelector(`[data-panel="${name}"]`);
    this.table = this.panel.querySelector("table");
    this.body = this.table.tBodies[0];
    this.emptyState = this.panel.querySelector(".empty");
    this.count = this.panel.querySelector("[data-count]");
    this.rows = new Map();
    this.elements = new Map();
    this.dirty = new Set();
    this.sort = null;
    this.needle = "";
    this.hidden = new Set();
    for (const column of columns) if (column.kind === "action") column.actions = this.options.actions;
    this.body.replaceChildren();
    this.#bindHead();
    this.#bindTools();
    this.#bindKeys();
    this.views = new TableViews(this);
    document.addEventListener("zonechange", () => this.#touchAll());
  }

  /** Search, order (`-price`: descending) and hidden columns, as addresses and views say them. */
  get state() {
    const { column, direction } = this.sort ?? {};
    return { find: this.needle, sort: column ? `${direction < 0 ? "-" : ""}${column.key}` : "", hide: this.columns.filter((c) => this.hidden.has(c.key)).map((c) => c.key) };
  }

  /** The other way round; columns it does not have must be left out already. */
  show({ find, sort, hide }) {
    this.needle = find;
    const filter = this.panel.querySelector("[data-filter]");
    if (filter) filter.value = find;
    const column = this.columns.find((c) => sort && c.key === sort.replace(/^-/, ""));
    this.sort = column ? { column, direction: sort.startsWith("-") ? -1 : 1 } : null;
    this.hidden = new Set(hide);
    this.#showHead();
    for (const row of this.elements.values()) this.#showCells(row);
    this.#schedule();
  }

  /** Replace all rows; the order given is the order shown unless a column was chosen. */
  set(rows) {
    const next = new Map();
    for (const row of rows.slice(0, this.options.limit)) next.set(String(row[this.options.rowKey]), row);
    for (const key of this.rows.keys()) if (!next.has(key)) this.#drop(key);
    for (const [key, row] of next) if (JSON.stringify(this.rows.get(key)) !== JSON.stringify(row)) this.dirty.add(key);
    this.rows = next;
    this.#schedule();
  }

  /** Put one row first, or renew it where it is. */
  upsert(row, { flash = false } = {}) {
    const key = String(row[this.options.rowKey]);
    const before = this.rows.get(key);
    if (before) this.rows.set(key, { ...before, ...row });
    else {
      this.rows = new Map([[key, row], ...this.rows]);
      for (const old of [...this.rows.keys()].slice(this.options.limit)) {
        this.rows.delete(old);
        this.#drop(old);
      }
    }
    this.dirty.add(key);
    if (flash) (this.flashing ??= new Set()).add(key);
    this.#schedule();
  }

  remove(key) {
    this.rows.delete(String(key));
    this.#drop(String(key));
    this.#schedule();
  }

  get(key) {
    return this.rows.get(String(key));
  }

  values() {
    return [...this.rows.values()];
  }

  shown() {
    const needle = this.needle.toLowerCase();
    let rows = this.values();
    if (needle) rows = rows.filter((row) => this.columns.some((c) => cellText(c.kind, row[c.key]).toLowerCase().includes(needle)));
    if (this.sort) {
      const { column, direction } = this.sort;
      const numeric = isAligned(column.kind);
      const valueOf = (row) => (column.kind === "lamp" ? row[column.key]?.text : row[column.key]);
      rows.sort((a, b) => {
        const [x, y] = [valueOf(a), valueOf(b)];
        const order = numeric ? Number(x ?? 0) - Number(y ?? 0) : String(x ?? "").localeCompare(String(y ?? ""));
        return order * direction;
      });
    }
    return rows;
  }

  csv() {
    const columns = this.columns.filter((c) => c.kind !== "action" && !this.hidden.has(c.key));
    const quote = (value) => {
      const text = value === null || value === undefined ? "" : typeof value === "object" ? value.text ?? JSON.stringify(value) : String(value);
      // A leading = + - @ would be run as a formula by a spreadsheet, unless it is a plain number.
      const safe = /^[=+\-@\t\r]/.test(text) && !/^[+-]?[\d.]+$/.test(text) ? `'${text}` : text;
      return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    return [columns.map((c) => c.key).join(","), ...this.shown().map((row) => columns.map((c) => quote(row[c.key])).join(","))].join("\r\n") + "\r\n";
  }

  #schedule() {
    paint(`table:${this.name}`, () => this.#draw());
  }

  #touchAll() {
    for (const key of this.rows.keys()) this.dirty.add(key);
    this.#schedule();
  }

  #drop(key) {
    this.dirty.delete(key);
    const element = this.elements.get(key);
    if (!element) return;
    this.elements.delete(key);
    paint(`drop:${this.name}:${key}`, () => element.remove());
  }

  #draw() {
    const shown = this.shown();
    const keys = new Set();
    let previous = null;
    for (const row of shown) {
      const key = String(row[this.options.rowKey]);
      keys.add(key);
      let element = this.elements.get(key);
      if (!element) {
        element = this.#build(key);
        this.dirty.add(key);
      }
      if (this.dirty.has(key)) this.#write(element, row);
      const place = previous ? previous.nextSibling : this.body.firstChild;
      if (place !== element) this.body.insertBefore(element, place);
      if (this.flashing?.has(key)) {
        element.classList.remove("flash");
        element.classList.add("flash");
      }
      previous = element;
    }
    for (const [key, element] of this.elements) if (!keys.has(key)) element.remove();
    this.dirty.clear();
    this.flashing?.clear();
    if (this.emptyState) this.emptyState.hidden = shown.length > 0;
    this.table.hidden = shown.length === 0;
    if (this.count) this.count.textContent = String(shown.length);
  }

  #build(key) {
    const element = document.createElement("tr");
    element.dataset.key = key;
    element.tabIndex = -1;
    for (const column of this.columns) {
      const cell = document.createElement("td");
      if (isAligned(column.kind)) cell.classList.add("number");
      if (column.kind === "mono") cell.classList.add("mono");
      if (column.wrap) cell.classList.add("wrap");
      if (column.kind === "action") cell.classList.add("action");
      element.append(cell);
    }
    this.#showCells(element);
    this.elements.set(key, element);
    return element;
  }

  #write(element, row) {
    this.columns.forEach((column, index) => {
      const cell = element.cells[index];
      const value = row[column.key];
      const mark = column.kind === "action" ? JSON.stringify(row) : column.kind === "time" ? `${cellText("time", value)}` : JSON.stringify(value);
      if (cell.mark === mark) return;
      cell.mark = mark;
      fillCell(cell, column, value, row);
    });
  }

  #bindHead() {
    [...this.table.tHead.rows[0].cells].forEach((cell, index) => {
      const column = this.columns[index];
      const button = cell.querySelector("button");
      button?.addEventListener("click", () => {
        const direction = this.sort?.column === column ? -this.sort.direction : isAligned(column.kind) ? -1 : 1;
        this.sort = { column, direction };
        this.#showHead();
        this.#schedule();
        this.views.keep();
      });
    });
  }

  #showHead() {
    const head = this.table.tHead.rows[0];
    this.#showCells(head);
    this.columns.forEach((column, index) => {
      if (this.sort?.column === column) head.cells[index].setAttribute("aria-sort", this.sort.direction > 0 ? "ascending" : "descending");
      else head.cells[index].removeAttribute("aria-sort");
    });
    for (const box of this.panel.querySelectorAll("[data-columns] input")) box.checked = !this.hidden.has(box.dataset.column);
  }

  #showCells(row) {
    this.columns.forEach((column, index) => { row.cells[index].hidden = this.hidden.has(column.key); });
  }

  #bindTools() {
    const filter = this.panel.querySelector("[data-filter]");
    filter?.addEventListener("input", () => {
      this.needle = filter.value.trim();
      this.#schedule();
      this.views.keep({ soon: true });
    });
    this.panel.querySelector("[data-csv]")?.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" }));
      link.download = `${this.name}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
    const chooser = this.panel.querySelector("[data-columns]");
    if (!chooser) return;
    this.columns.filter((c) => c.kind !== "action").forEach((column) => {
      const label = document.createElement("label");
      label.className = "inline";
      const box = document.createElement("input");
      box.type = "checkbox";
      box.dataset.column = column.key;
      box.addEventListener("change", () => this.#choose(column, box));
      label.append(box, column.title || "State");
      chooser.append(label);
    });
  }

  #choose(column, box) {
    if (box.checked) this.hidden.delete(column.key);
    else if (this.columns.some((c) => c !== column && c.kind !== "action" && !this.hidden.has(c.key))) this.hidden.add(column.key);
    else box.checked = true; // one column stays
    for (const row of [this.table.tHead.rows[0], ...this.elements.values()]) this.#showCells(row);
    this.views.keep({ columns: true });
  }

  #bindKeys() {
    this.table.tabIndex = 0;
    this.table.addEventListener("keydown", (event) => {
      if (event.target.closest("button, a, input, select")) return;
      const rows = [...this.body.rows];
      const at = rows.indexOf(document.activeElement);
      const go = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
      if (go !== undefined) {
        event.preventDefault();
        rows[Math.max(0, Math.min(rows.length - 1, go))]?.focus();
      } else if (event.key === "Enter" && at >= 0 && this.options.onOpen) {
        this.options.onOpen(this.rows.get(rows[at].dataset.key));
      }
    });
  }
}
