// Pieces of evidence as DOM: facts, the rails' verdicts.
import { NONE } from "./format.js";

export function node(tag, text = "", className = "") {
  const element = document.createElement(tag);
  if (text !== "") element.textContent = text;
  if (className) element.className = className;
  return element;
}

export function facts(pairs) {
  const list = node("dl", "", "facts");
  for (const [name, value] of pairs) {
    if (value === null || value === undefined || value === "") continue;
    list.append(node("dt", name), node("dd", typeof value === "object" ? JSON.stringify(value) : String(value)));
  }
  return list;
}

export function checksTable(checks) {
  const table = node("table");
  const head = table.createTHead().insertRow();
  for (const title of ["", "Rail", "Measured", "Limit", "Unit", "Detail"]) {
    const cell = node("th", title);
    cell.scope = "col";
    head.append(cell);
  }
  const rows = table.createTBody();
  for (const check of checks) {
    const row = rows.insertRow();
    const lamp = node("span", check.passed ? "passed" : check.code ?? "denied", "lamp");
    lamp.dataset.tone = check.passed ? "good" : "bad";
    row.insertCell().append(lamp);
    for (const value of [check.rail, check.measured, check.limit, check.unit]) row.insertCell().textContent = value ?? NONE;
    const detail = row.insertCell();
    detail.className = "wrap";
    detail.textContent = check.detail ?? "";
  }
  const scroll = node("div", "", "scroll");
  scroll.append(table);
  return scroll;
}
