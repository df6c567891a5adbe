// Where a version comes from: bars above, versions below in order of their numbers, an arrow to what was made of each.
import { node } from "./explain-parts.js";

const SPACE = "http://www.w3.org/2000/svg";
const [BOX, HIGH, STEP, DROP] = [168, 40, 192, 92];

function shape(name, attributes, className, text) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (className) element.setAttribute("class", className);
  if (text) element.textContent = text;
  return element;
}

function box(svg, place, label, below, className) {
  svg.append(
    shape("rect", { x: place.x, y: place.y, width: BOX, height: HIGH, rx: 6 }, className),
    shape("text", { x: place.x + BOX / 2, y: place.y + 16, "text-anchor": "middle" }, "label", label),
    shape("text", { x: place.x + BOX / 2, y: place.y + 32, "text-anchor": "middle" }, "below", below),
  );
}

/** `graph`: nodes and edges as `/models/{id}` has them. */
export function drawLineage(graph) {
  const figure = node("figure", "", "lineage scroll");
  const places = new Map();
  const versions = graph.nodes.filter((one) => one.kind === "version");
  versions.forEach((one, at) => places.set(one.id, { x: 4 + at * STEP, y: 4 + DROP }));
  // Bars stand above the first version that was trained on them.
  for (const [from, to] of graph.edges) if (from.startsWith("data:") && !places.has(from)) places.set(from, { x: places.get(to).x, y: 4 });
  const width = 8 + versions.length * STEP;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${DROP + HIGH + 48}`, width, height: DROP + HIGH + 48, role: "img" });
  svg.setAttribute("aria-label", `Lineage: ${graph.nodes.map((one) => one.label).join(", ")}`);
  for (const [from, to] of graph.edges) {
    const [a, b] = [places.get(from), places.get(to)];
    if (!a || !b) continue;
    const data = from.startsWith("data:");
    const [x1, y1] = data ? [a.x + BOX / 2, a.y + HIGH] : [a.x + BOX / 2, a.y + HIGH];
    const [x2, y2] = data ? [b.x + BOX / 2, b.y] : [b.x + BOX / 2, b.y + HIGH];
    const bend = data ? `M${x1} ${y1} C${x1} ${y1 + 24} ${x2} ${y2 - 24} ${x2} ${y2}` : `M${x1} ${y1} C${x1} ${y1 + 34} ${x2} ${y2 + 34} ${x2} ${y2}`;
    const end = data ? `M${x2 - 4} ${y2 - 7} L${x2} ${y2} L${x2 + 4} ${y2 - 7}` : `M${x2 - 4} ${y2 + 7} L${x2} ${y2} L${x2 + 4} ${y2 + 7}`;
    svg.append(shape("path", { d: `${bend} ${end}` }, "edge"));
  }
  for (const one of graph.nodes) {
    const place = places.get(one.id);
    if (!place) continue;
    if (one.kind === "data") box(svg, place, one.label, `sha256 ${one.sha256.slice(0, 12)}`, "data");
    else box(svg, place, one.label, `${one.stage} ${one.digest.slice(0, 8)}`, one.this ? "this" : "version");
  }
  figure.append(svg);
  figure.append(node("figcaption", `Bars above; an arrow below leads from the champion to the version trained beside it.${graph.left_out ? ` ${graph.left_out} further versions are left out.` : ""}`));
  return figure;
}
