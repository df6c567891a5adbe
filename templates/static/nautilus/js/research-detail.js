// One run in a drawer, and several side by side.
import { complain, toast } from "./toast.js";

const PERCENT = new Set(["total_return", "max_drawdown", "win_rate", "exposure", "psr", "dsr", "pbo"]);
const HIDDEN = new Set(["results", "best", "params", "windows", "gate", "leaks"]);
const ORDER = ["strategy", "symbol", "interval", "bars", "start", "end", "total_return", "final_equity", "max_drawdown", "sharpe", "trades", "win_rate", "exposure", "fees", "psr", "dsr", "pbo", "plateau"];
/** Limits as asked for; the many that were in force then are in the API's answer. */
const limitsOf = ({ account, values }) => [account && `in force on ${account} when it was asked for`, textOf("", values ?? {})].filter((text) => text && text !== "none").join("; ");
const place = (name) => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
const words = (name) => name.replaceAll("_", " ");

// Inside a group: as it is typed in a command, and no more digits than anybody reads.
const plain = (name, item) => (PERCENT.has(name) ? textOf(name, item) : typeof item === "number" && !Number.isInteger(item) ? Number(item.toPrecision(6)) : item);

export function textOf(name, value) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.join(" ") || "none";
  if (typeof value === "object") return Object.entries(value).map(([key, item]) => `${key}=${typeof item === "object" && item !== null ? `(${textOf("", item)})` : plain(key, item)}`).join(" ") || "none";
  if (typeof value !== "number") return String(value);
  if (PERCENT.has(name)) return `${(value * 100).toFixed(2)} %`;
  return Number.isInteger(value) ? value.toLocaleString("en") : value.toLocaleString("en", { maximumFractionDigits: 4 });
}

function facts(list, pairs) {
  list.replaceChildren(...pairs.flatMap(([name, value]) => {
    const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = words(name);
    detail.textContent = value;
    return [term, detail];
  }));
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied.`);
  } catch (error) {
    complain(new Error(`The browser does not let this page copy: ${error.message}`));
  }
}

const dialog = document.getElementById("job");
dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
let shown = null;
document.getElementById("copy-command").addEventListener("click", () => copy(shown.command, "Command"));
document.getElementById("copy-link").addEventListener("click", () => copy(`${location.origin}/research/?job=${shown.id}`, "Link"));

export function showJob(job) {
  shown = job;
  document.getElementById("job-title").textContent = `${job.title} · ${job.state}${job.partial ? ` at ${Math.round(job.progress * 100)} %` : ""}`;
  const problem = document.getElementById("job-error");
  problem.textContent = job.error;
  problem.hidden = !job.error;
  document.getElementById("job-notes").replaceChildren(...job.notes.map((note) => {
    const item = document.createElement("li");
    item.textContent = note;
    return item;
  }));
  const figures = Object.entries(job.figures).filter(([name]) => !HIDDEN.has(name)).sort(([a], [b]) => place(a) - place(b) || a.localeCompare(b));
  const gate = (job.figures.gate ?? []).map(({ name, measured, limit, at_least, passed }) => [`gate: ${name}`, measured === null ? "cannot be measured: failed" : `${textOf("", measured)} ${at_least ? "≥" : "≤"} ${textOf("", limit)} ${passed ? "passed" : "failed"}`]);
  const leaks = (job.figures.leaks ?? []).map((leak) => [`look-ahead: ${leak.column}`, `bar ${leak.bar} says ${leak.with_future} with the later bars and ${leak.without_future} without. ${leak.hint}`]);
  facts(document.getElementById("job-figures"), [...figures.map(([name, value]) => [name, textOf(name, value)]), ...gate, ...leaks]);
  facts(document.getElementById("job-asked"), Object.entries(job.request).filter(([, value]) => value !== null && value !== "" && value !== false && !(Array.isArray(value) && !value.length)).map(([name, value]) => [name, name === "limits" ? limitsOf(value) : Array.isArray(value) ? value.map((item) => textOf("", item)).join("; ") : textOf(name, value)]));
  document.getElementById("job-command").textContent = job.command;
  const report = document.getElementById("job-report");
  report.hidden = job.state !== "done" || !job.report_url;
  if (!report.hidden) report.href = job.report_url;
  if (!dialog.open) dialog.showModal();
}

/** Figures by row, runs by column, each with its difference from the first. */
export function showComparison({ columns, rows }) {
  const panel = document.getElementById("comparison");
  const [head, body] = [panel.querySelector("thead"), panel.querySelector("tbody")];
  const cell = (kind, text, scope) => {
    const element = document.createElement(kind);
    element.textContent = text;
    if (scope) element.scope = scope;
    return element;
  };
  const line = (cells) => {
    const row = document.createElement("tr");
    row.append(...cells);
    return row;
  };
  head.replaceChildren(line([cell("th", "Figure", "col"), ...rows.map((row) => cell("th", row.title, "col"))]));
  const figures = columns.map((name) => line([cell("th", words(name), "row"), ...rows.map((row, index) => {
    const difference = row.difference[name];
    const beside = index && difference !== undefined ? ` (${difference >= 0 ? "+" : ""}${textOf(name, difference)})` : "";
    const found = cell("td", textOf(name, row[name]) + beside);
    found.className = "number";
    return found;
  })]));
  const asked = line([cell("th", "asked differently", "row"), ...rows.map((row, index) => cell("td", index ? textOf("", row.asked_differently) : "the measure of the others"))]);
  const bars = line([cell("th", "same bars", "row"), ...rows.map((row) => cell("td", row.same_bars ? "yes" : "no: not comparable"))]);
  body.replaceChildren(...figures, asked, bars);
  panel.hidden = false;
  panel.scrollIntoView({ block: "nearest" });
}
