// The filters of a page: one form, whose values are in the address, in the state that is fetched and in the API calls shown.
import { changed, parameters, write } from "./address.js";
import { config, refetch } from "./shell.js";
import { showProblem } from "./toast.js";

const waiting = [];
let filters = null;

/** Called with the page's filters, now or once they are bound; never where a page has none. */
export function onFilters(listener) {
  if (filters) listener(filters);
  else waiting.push(listener);
}

export const filterValues = () => filters?.values() ?? {};

export function setFilters(values) {
  filters?.set(values);
}

class PageFilters extends EventTarget {
  constructor(form) {
    super();
    this.form = form;
    this.turn = 0;
    this.accepted = this.#inAddress();
    this.problem = document.createElement("p");
    this.problem.className = "message wide";
    this.problem.setAttribute("role", "alert");
    this.problem.hidden = true;
    form.append(this.problem);
    form.addEventListener("submit", (event) => { event.preventDefault(); this.apply(); });
    form.addEventListener("change", () => this.apply());
    form.querySelector("[data-clear]").addEventListener("click", (event) => { event.preventDefault(); this.set({}); });
    this.#showCalls();
  }

  /** What is chosen, by name; what was typed and refused is not. */
  values() {
    const { before, ...chosen } = this.#inAddress();
    return Object.fromEntries(Object.entries(chosen).filter(([, value]) => value));
  }

  set(values) {
    for (const name of config.filters) if (this.form.elements[name]) this.form.elements[name].value = values[name] ?? "";
    return this.apply();
  }

  /** Show what is chosen, from its newest row on. What the server refuses is said beside the form; the rows stay. */
  async apply() {
    const turn = ++this.turn;
    write({ ...Object.fromEntries(config.filters.map((name) => [name, this.form.elements[name]?.value.trim()])), before: "" });
    this.#showCalls();
    const error = await refetch();
    if (turn !== this.turn) return;
    this.problem.hidden = error?.code !== "INVALID_FILTER";
    if (this.problem.hidden) this.accepted = this.#inAddress();
    else {
      showProblem(this.problem, error);
      write(this.accepted);
      this.#showCalls();
    }
    this.dispatchEvent(new Event("applied"));
  }

  #inAddress() {
    const asked = parameters();
    return Object.fromEntries([...config.filters, "before"].map((name) => [name, asked.get(name) ?? ""]));
  }

  // The twins in the API know most of the filters; what begins with something only the page and its export can ask for.
  #showCalls() {
    const chosen = this.#inAddress();
    for (const [table, names] of Object.entries(config.follows)) {
      const link = document.querySelector(`[data-panel="${table}"] [data-api]`);
      if (!link) continue;
      const passed = names.filter((name) => chosen[name] && !chosen[name].endsWith("*"));
      const query = new URLSearchParams(passed.map((name) => [name, chosen[name]]));
      const path = link.getAttribute("href").split("?")[0];
      link.href = query.size ? `${path}?${query}` : path;
      const shown = table === config.filtered && this.form.querySelector("#api-call");
      if (!shown) continue;
      const others = config.filters.filter((name) => chosen[name] && !passed.includes(name));
      shown.textContent = `GET ${link.getAttribute("href")}${others.length ? ` (not by ${others.join(", ").replaceAll("_", " ")})` : ""}`;
    }
  }
}

export function bindFilters(form) {
  filters = new PageFilters(form);
  for (const listener of waiting.splice(0)) listener(filters);
  return filters;
}

/** A link to the rows before those shown, with everything else as it is when it is followed. */
export function bindOlder(link) {
  let before = null;
  const aim = () => { link.href = changed({ before: String(before ?? ""), explain: "" }) || location.pathname; };
  for (const event of ["pointerdown", "focus", "click"]) link.addEventListener(event, aim);
  return (older) => {
    before = older;
    link.hidden = !older;
    aim();
  };
}
