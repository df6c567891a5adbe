// Named views of a table, kept on the server: pick one, keep what the table shows, open the table with it. And what the
// table shows goes into the address, whoever changed it.
import { parameters, write } from "./address.js";
import { call } from "./api.js";
import { filterValues, onFilters, setFilters } from "./page-filters.js";
import { recall, remember } from "./preferences.js";
import { config } from "./shell.js";
import { differing, fromAddress, NONE, same, sound, toAddress } from "./table-state.js";
import { complain, toast } from "./toast.js";
import { openViewDialog } from "./view-dialog.js";

const PLAIN = { find: "", sort: "", hide: [], filters: {} };
const PAUSE_MS = 200;

export class TableViews {
  /** `table` gives `columns`, `panel` and `name`, its state as `state`, and takes one by `show(state)`. */
  constructor(table) {
    this.table = table;
    this.key = `${config.page}.${table.name}`;
    this.hasFilters = config.filtered === table.name;
    this.list = config.views[table.name] ?? [];
    this.menu = table.panel.querySelector("[data-views]");
    this.title = table.panel.querySelector("h2").textContent;
    this.picked = null;
    this.#open();
    this.#bindMenu();
    if (this.hasFilters) onFilters((filters) => filters.addEventListener("applied", () => this.keep()));
  }

  /** Everything the table shows now, the filters of its page included where it keeps them. */
  get state() {
    return { ...this.table.state, filters: this.hasFilters ? filterValues() : {} };
  }

  /** The table shows something else by now: into the address with it. Columns chosen here stay with this browser, too. */
  keep({ soon = false, columns = false } = {}) {
    clearTimeout(this.timer);
    if (columns) this.#remember(this.table.state.hide);
    if (soon) {
      this.timer = setTimeout(() => this.keep(), PAUSE_MS);
      return;
    }
    const { state } = this;
    const opens = this.list.find((view) => view.default);
    write({ ...toAddress(this.table.name, state), [`${this.table.name}.view`]: opens && same(state, PLAIN) ? NONE : "" });
    this.#label();
  }

  // The address decides; where it says nothing, the view chosen to open with; else what this browser remembers.
  #open() {
    const asked = fromAddress(this.table.name, this.table.columns);
    const filtered = this.hasFilters && config.filters.some((name) => parameters().get(name));
    const opens = this.list.find((view) => view.default);
    if (opens && !asked && !filtered) this.#show(opens);
    else this.table.show(asked ?? { ...PLAIN, hide: this.#remembered() });
    if (this.hasFilters) onFilters(() => this.keep()); // not before: the filters are part of what is shown
    else this.keep();
  }

  #remember(hide) {
    remember(`columns.${this.key}`, JSON.stringify(hide));
  }

  #remembered() {
    const text = recall(`columns.${this.key}`) ?? recall(`columns.${this.table.name}`, "[]");
    try {
      const keys = JSON.parse(text);
      return Array.isArray(keys) ? sound({ hide: keys }, this.table.columns).state.hide : [];
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      return [];
    }
  }

  /** Make the table show a view, or none. */
  #show(view) {
    const { state, refused } = sound(view?.state ?? PLAIN, this.table.columns);
    if (refused.length) toast(`${view.name}: this table has no ${refused.map(([, value]) => value).join(", ")} any more; it was left out.`, "warn");
    this.picked = view?.mine ? view : null;
    this.table.show(state);
    if (this.hasFilters) onFilters(() => setFilters(state.filters));
    else this.keep();
  }

  /** The view that keeps just what is shown; of several the one that was picked. */
  get #shown() {
    const { state } = this;
    return [this.picked, ...this.list].find((view) => view && same(view.state, state));
  }

  #label() {
    if (!this.menu) return;
    const shown = this.#shown;
    const summary = this.menu.querySelector("summary");
    summary.textContent = shown ? shown.name : this.picked ? `${this.picked.name}, changed` : "views";
    summary.setAttribute("aria-label", `Views of ${this.title}${shown ? `, now ${shown.name}` : ""}`);
    if (this.menu.open) this.#draw();
  }

  #bindMenu() {
    this.menu?.addEventListener("toggle", () => {
      if (!this.menu.open) return;
      this.#draw();
      this.#renew();
    });
  }

  // Another browser of the same person, or a colleague, may have changed them.
  async #renew() {
    try {
      const { body } = await call("GET", `/api/v1/views?table=${this.key}`);
      this.list = body.results;
      if (this.picked) this.picked = this.list.find((view) => view.id === this.picked.id) ?? null;
      this.keep();
    } catch (error) {
      complain(error);
    }
  }

  #draw() {
    const box = this.menu.querySelector("div");
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset.does : null;
    const shown = this.#shown;
    const list = document.createElement("ul");
    list.setAttribute("aria-label", `Views of ${this.title}`);
    list.append(this.#line(null, same(this.state, PLAIN)), ...this.list.map((view) => this.#line(view, view.id === shown?.id)));
    const foot = document.createElement("div");
    foot.className = "row";
    if (this.picked && !shown) foot.append(this.#button("change", "Keep the changes", `Keep the changes of ${this.picked.name}`, () => this.#send("PUT", this.picked, { state: differing(this.state) }, "now shows this")));
    foot.append(this.#button("save", "Save view…", `Save what ${this.title} shows as a view`, () => this.#edit(null)));
    box.replaceChildren(list, foot);
    if (focused) (box.querySelector(`[data-does="${focused}"]`) ?? this.menu.querySelector("summary")).focus();
  }

  #line(view, isShown) {
    const line = document.createElement("li");
    const pick = this.#button(`pick-${view?.id ?? 0}`, view?.name ?? "as it comes", view ? `Show ${this.title} as ${view.name}` : `Show ${this.title} as it comes`, () => {
      if (!view) this.#remember([]);
      this.#show(view);
    });
    pick.classList.add("pick");
    pick.setAttribute("aria-pressed", String(isShown));
    line.append(pick);
    if (!view) return line;
    if (view.shared) {
      const by = document.createElement("span");
      by.className = "muted";
      by.textContent = view.mine ? "shared" : `by ${view.owner}`;
      line.append(by);
    }
    const star = this.#button(`star-${view.id}`, view.default ? "★" : "☆", `Open ${this.title} with ${view.name}`, () => this.#send("PUT", view, { default: !view.default }, view.default ? "opens the table no more" : "opens the table from now on"));
    star.title = view.default ? "The table opens with it" : "Open the table with it";
    star.setAttribute("aria-pressed", String(view.default));
    line.append(star);
    if (view.mine || config.can.includes("views.delete")) line.append(this.#button(`edit-${view.id}`, "Edit…", `Edit the view ${view.name}`, () => this.#edit(view)));
    return line;
  }

  #button(does, text, label, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button-quiet button-small";
    button.dataset.does = does;
    button.textContent = text;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    return button;
  }

  #edit(view) {
    const { state } = this;
    openViewDialog({
      view, state, columns: this.table.columns, title: this.title, others: this.list,
      send: async (method, body, target = view) => {
        const { body: kept } = await call(method, target ? `/api/v1/views/${target.id}` : "/api/v1/views", method === "POST" ? { table: this.key, ...body } : body);
        if (method !== "DELETE" && kept.mine) this.picked = kept;
        await this.#renew();
        return kept;
      },
      closed: () => this.menu.querySelector("summary").focus(),
    });
  }

  async #send(method, view, body, said) {
    try {
      await call(method, `/api/v1/views/${view.id}`, body);
      toast(`${view.name} ${said}.`);
      await this.#renew();
    } catch (error) {
      complain(error);
    }
  }
}

// An open menu closes as menus do; the columns' is one, too.
const opened = () => document.querySelectorAll("details.columns[open]");
document.addEventListener("click", (event) => {
  for (const menu of opened()) if (!menu.contains(event.target) && event.target.isConnected) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  for (const menu of opened()) {
    menu.open = false;
    if (menu.contains(document.activeElement) || document.activeElement === document.body) menu.querySelector("summary").focus();
  }
});
