// Filtered probabilities over price: the close as a line, below it what was known at each close, stacked.
import { node } from "./explain-parts.js";
import { fullTime } from "./format.js";

const SPACE = "http://www.w3.org/2000/svg";
const [WIDTH, PRICE, GAP, BAND] = [720, 130, 10, 90];

function shape(name, attributes, className) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (className) element.setAttribute("class", className);
  return element;
}

/** `told`: what `/models/{id}/posterior` answers. Every bar shows only what was known when it closed. */
export function drawPosterior(told) {
  const figure = node("figure", "", "posterior");
  const { rows, labels } = told;
  if (rows.length < 2) {
    figure.append(node("p", "Too few bars with an observation yet."));
    return figure;
  }
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${PRICE + GAP + BAND}`, role: "img", preserveAspectRatio: "none" });
  svg.setAttribute("aria-label", `Price of ${told.symbol} and filtered probability of ${labels.join(", ")}`);
  const x = (at) => (at / (rows.length - 1)) * WIDTH;
  const closes = rows.map((row) => row.close);
  const [low, high] = [Math.min(...closes), Math.max(...closes)];
  const y = (close) => 4 + (PRICE - 8) * (high > low ? (high - close) / (high - low) : 0.5);
  const top = PRICE + GAP;
  const base = rows.map(() => 0);
  labels.forEach((_, state) => {
    const below = rows.map((_, at) => `${x(at).toFixed(2)},${(top + BAND * (1 - base[at])).toFixed(2)}`);
    rows.forEach((row, at) => (base[at] += row.probabilities[state]));
    const above = rows.map((_, at) => `${x(at).toFixed(2)},${(top + BAND * (1 - base[at])).toFixed(2)}`);
    svg.append(shape("polygon", { points: [...below, ...above.reverse()].join(" ") }, `regime-${state % 6}`));
  });
  svg.append(shape("polyline", { points: rows.map((row, at) => `${x(at).toFixed(2)},${y(row.close).toFixed(2)}`).join(" ") }, "price"));
  const key = node("p", "", "legend");
  const newest = rows[rows.length - 1];
  labels.forEach((label, state) => {
    const mark = shape("svg", { viewBox: "0 0 10 10", width: 10, height: 10, "aria-hidden": "true" });
    mark.append(shape("rect", { width: 10, height: 10 }, `regime-${state % 6}`));
    const item = node("span");
    item.append(mark, ` ${label} ${(newest.probabilities[state] * 100).toFixed(1)} %`);
    key.append(item);
  });
  figure.append(svg, node("figcaption", `${told.symbol} ${told.interval}, ${fullTime(rows[0].at)} to ${fullTime(newest.at)}; ${low} to ${high}. Each bar from the bars up to its own.`), key);
  return figure;
}
