// Where the equity goes, left to right: a band as wide as its share. The same stands in words beneath it.
import { money } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 1000;
const HEIGHT = 300;
const GAP = 8;
const BAR = 10;
const COLUMNS = [0, 420, 1000 - BAR];
const LEAST = 2; // what is there is seen, however little it is

function add(parent, name, attributes, text = "") {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  parent.append(element);
  return element;
}

function column(rows, scale) {
  const shown = rows.filter((row) => Number(row.amount) > 0);
  let y = 0;
  return shown.map((row) => {
    const height = Math.max(LEAST, Number(row.amount) * scale);
    const placed = { ...row, y, height };
    y += height + GAP;
    return placed;
  });
}

function band(svg, from, to, fromY, toY, height, tone) {
  const [left, right] = [COLUMNS[from] + BAR, COLUMNS[to]];
  const middle = (left + right) / 2;
  add(svg, "path", {
    d: `M${left},${fromY} C${middle},${fromY} ${middle},${toY} ${right},${toY} V${toY + height} C${middle},${toY + height} ${middle},${fromY + height} ${left},${fromY + height} Z`,
    class: "flow-band",
    "data-tone": tone,
  });
}

/** Draws into a container that has an svg and a list; nothing where there is no decision yet. */
export function drawFlow(container, flow) {
  const svg = container.querySelector("svg");
  const words = container.querySelector("[data-flow-words]");
  svg.replaceChildren();
  words.replaceChildren();
  const known = Boolean(flow) && Number(flow.equity) > 0;
  container.querySelector("[data-flow-empty]").hidden = known;
  svg.toggleAttribute("hidden", !known);
  if (!known) return;
  const middle = [
    { name: "Pool", amount: flow.pool, tone: "pool" },
    { name: "Outside the pool", amount: flow.withheld, tone: "out" },
    { name: "Reserve", amount: flow.reserve, tone: "reserve" },
  ];
  const right = [
    ...flow.strategies.map((row) => ({ name: row.strategy, amount: row.amount, tone: "given" })),
    { name: "Given to nobody", amount: flow.free, tone: "out" },
  ];
  const most = Math.max(Number(flow.equity), right.reduce((sum, row) => sum + Number(row.amount), 0));
  const count = Math.max(middle.length, right.length);
  const scale = (HEIGHT - GAP * count) / most;
  const columns = [[{ name: "Equity", amount: flow.equity, tone: "equity", y: 0, height: Number(flow.equity) * scale }], column(middle, scale), column(right, scale)];
  let from = 0;
  for (const row of columns[1]) {
    band(svg, 0, 1, from, row.y, row.height, row.tone);
    from += row.height;
  }
  const pool = columns[1].find((row) => row.tone === "pool");
  from = pool ? pool.y : 0;
  for (const row of columns[2]) {
    band(svg, 1, 2, from, row.y, row.height, row.tone);
    from += row.height;
  }
  columns.forEach((rows, index) =>
    rows.forEach((row) => {
      add(svg, "rect", { x: COLUMNS[index], y: row.y, width: BAR, height: row.height, class: "flow-bar", "data-tone": row.tone });
    }),
  );
  for (const [index, rows] of columns.entries()) {
    const list = document.createElement("ul");
    for (const row of index === 0 ? rows : rows.filter((item) => Number(item.amount) > 0)) {
      const item = document.createElement("li");
      item.dataset.tone = row.tone;
      const name = document.createElement("span");
      name.textContent = row.name;
      const amount = document.createElement("b");
      amount.className = "number";
      amount.textContent = money(row.amount);
      item.append(name, amount);
      list.append(item);
    }
    words.append(list);
  }
  if (Number(flow.over) > 0) {
    const note = document.createElement("p");
    note.className = "message";
    note.dataset.tone = "warn";
    note.textContent = `${money(flow.over)} USDT more is given out than the pool holds: no strategy rises until that is over.`;
    words.append(note);
  }
  svg.setAttribute("aria-label", `Of ${money(flow.equity)} USDT ${money(flow.reserve)} are reserve, ${money(flow.pool)} the pool, ${money(flow.free)} of it given to nobody.`);
}
