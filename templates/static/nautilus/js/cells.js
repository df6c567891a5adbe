// One cell of a table, by the kind its column declares. The server renders the same kinds for the first paint.
import { clock, fullTime, group, money, NONE, percent, plain, price, roundText, seconds, signed, signOf, STATUS_TONE } from "./format.js";

const ALIGNED = new Set(["money", "price", "signed", "decimal", "percent", "age", "count", "bar", "progress", "trace"]);
export const isAligned = (kind) => ALIGNED.has(kind);

/** Text of a value, for screens, filters and CSV comparison. */
export function cellText(kind, value) {
  switch (kind) {
    case "money": return money(value);
    case "price": return price(value);
    case "signed": return signed(value);
    case "decimal": return plain(value);
    case "percent": return percent(value);
    case "age": return seconds(value);
    case "time": return clock(value);
    case "side": return value === "BUY" ? "▲ BUY" : value === "SELL" ? "▼ SELL" : value || NONE;
    case "flag": return value ? "yes" : "no";
    case "progress":
    case "bar": return value === null || value === undefined ? NONE : `${Math.round(Number(value) * 100)} %`;
    case "trace": return value?.length ? group(roundText(value[value.length - 1], 1) ?? String(value[value.length - 1])).replace("-", "−") : NONE;
    case "action": return "";
    default: return value === null || value === undefined || value === "" ? NONE : String(value);
  }
}

export function toneOfShare(share) {
  return share >= 0.9 ? "bad" : share >= 0.7 ? "warn" : "";
}

export function barElement(share) {
  const bounded = Math.max(0, Math.min(1, Number(share) || 0));
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "bar");
  svg.setAttribute("viewBox", "0 0 100 8");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.dataset.tone = toneOfShare(Number(share));
  for (const [name, width] of [["track", 100], ["used", bounded * 100]]) {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    rect.setAttribute("class", name);
    rect.setAttribute("width", width.toFixed(1));
    rect.setAttribute("height", "8");
    rect.setAttribute("rx", "2");
    svg.append(rect);
  }
  return svg;
}

/** A small line through numbers; what it ends in stands beside it as text. */
export function traceElement(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const points = values.map((value, at) => `${((at / Math.max(1, values.length - 1)) * 60).toFixed(1)},${(15 - (high > low ? (value - low) / (high - low) : 0.5) * 14).toFixed(1)}`);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({ class: "trace", viewBox: "0 0 60 16", width: "60", height: "16", "aria-hidden": "true" })) svg.setAttribute(name, value);
  const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  line.setAttribute("points", points.join(" "));
  svg.append(line);
  return svg;
}

/** Put `value` into `cell`. */
export function fillCell(cell, column, value, row) {
  const text = cellText(column.kind, value);
  if (column.kind === "action") {
    const action = column.actions?.(row);
    cell.replaceChildren(...(action ? [action].flat() : []));
    return;
  }
  if (column.kind === "status" && text !== NONE) {
    const tag = document.createElement("span");
    tag.className = "tag";
    tag.dataset.tone = STATUS_TONE[text] ?? "";
    tag.textContent = text;
    cell.replaceChildren(tag);
    return;
  }
  if (column.kind === "lamp") {
    const lamp = document.createElement("span");
    lamp.className = "lamp";
    lamp.dataset.tone = value?.tone ?? "off";
    lamp.textContent = value?.text ?? NONE;
    lamp.title = value?.title ?? "";
    cell.replaceChildren(lamp);
    return;
  }
  if (column.kind === "progress" && value !== null && value !== undefined) {
    const bar = barElement(value);
    delete bar.dataset.tone; // nearly done is no reason to worry
    cell.replaceChildren(bar, ` ${text}`);
    return;
  }
  if (column.kind === "trace" && value?.length > 1) {
    cell.replaceChildren(traceElement(value.map(Number)), ` ${text}`);
    return;
  }
  if (column.kind === "bar") {
    cell.replaceChildren(...(value === null || value === undefined ? [NONE] : [barElement(value), ` ${text}`]));
    return;
  }
  cell.textContent = text;
  if (column.kind === "signed") setTone(cell, signOf(value));
  if (column.kind === "side") setTone(cell, value === "BUY" ? 1 : -1);
  if (column.kind === "time") cell.title = fullTime(value);
  if (column.kind === "mono" || column.kind === "text") cell.title = text.length > 24 ? text : "";
}

function setTone(cell, sign) {
  cell.classList.toggle("up", sign > 0);
  cell.classList.toggle("down", sign < 0);
}
