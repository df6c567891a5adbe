// A canary as evidence: both results side by side, the test beside its bounds, every guard rail, what is still asked.
import { facts, node } from "./explain-parts.js";
import { fullTime, money, percent, seconds } from "./format.js";

const SPACE = "http://www.w3.org/2000/svg";
const [WIDTH, HIGH] = [720, 200];
const UNITS = { drawdown: "share", daily_loss: "share", backtest_drawdown: "share", rejects: "share", errors: "share", slippage: "bps", stale: "bars", divergence: "of capital", drift: "", unmeasured_s: "s", unknown_s: "s", quote_s: "s" };
const SAYS = {
  drawdown: "fall from its best result", daily_loss: "lost since 00:00 UTC", backtest_drawdown: "fall, beside its backtest",
  rejects: "orders the venue refused", errors: "orders whose answer was lost", unknown_s: "an order's fate is unknown",
  stale: "bars its decisions lag", quote_s: "age of its oldest price", unmeasured_s: "its worth is unknown",
  drift: "drift alarms", slippage: "surely paid over the mid price", divergence: "exposure apart from the champion's",
};

function shape(name, attributes, className) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  if (className) element.setAttribute("class", className);
  return element;
}

/** Lines over the pairs, with level lines across; `unit` writes a value for the axis. */
function chart(label, lines, bounds, unit) {
  const values = [...lines.flatMap((line) => line.values.filter((one) => one !== null)), ...bounds.map((one) => one.at), 0];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const count = Math.max(...lines.map((line) => line.values.length));
  const x = (at) => (count > 1 ? (at / (count - 1)) * WIDTH : WIDTH / 2);
  const y = (value) => 6 + (HIGH - 12) * (high > low ? (high - value) / (high - low) : 0.5);
  const figure = node("figure", "", "evidence");
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  for (const bound of [{ at: 0 }, ...bounds]) svg.append(shape("line", { x1: 0, x2: WIDTH, y1: y(bound.at), y2: y(bound.at) }, "bound"));
  lines.forEach((line, number) => {
    const points = line.values.map((value, at) => (value === null ? null : `${x(at).toFixed(1)},${y(value).toFixed(1)}`)).filter(Boolean);
    if (points.length) svg.append(shape("polyline", { points: points.join(" ") }, number ? "line other" : "line"));
  });
  const key = node("p", "", "legend");
  lines.forEach((line, number) => {
    const mark = shape("svg", { viewBox: "0 0 22 8", width: 22, height: 8, "aria-hidden": "true" });
    mark.append(shape("line", { x1: 0, x2: 22, y1: 4, y2: 4 }, number ? "line other" : "line"));
    const last = [...line.values].reverse().find((value) => value !== null);
    const item = node("span");
    item.append(mark, ` ${line.name}${last === undefined ? "" : ` ${unit(last)}`}`);
    key.append(item);
  });
  for (const bound of bounds) key.append(node("span", `┄ ${bound.name} ${unit(bound.at)}`));
  const axis = node("p", "", "axis");
  axis.append(node("span", `${unit(low)} to ${unit(high)}`), node("span", `${count} pairs`));
  figure.append(svg, axis, key, node("figcaption", label));
  return figure;
}

function sums(rows, name) {
  let total = 0;
  return rows.map((row) => (total += row[name]));
}

function rails(list) {
  const table = node("table");
  const head = node("tr");
  head.append(...["", "Guard rail", "Measured", "Limit", "What it is"].map((title) => node("th", title)));
  const top = node("thead");
  top.append(head);
  const body = node("tbody");
  const text = (rail, value) => {
    if (value === null) return "not yet";
    const unit = UNITS[rail.name] ?? "";
    return unit === "share" ? percent(value) : `${Number(value.toPrecision(4))}${unit ? ` ${unit}` : ""}`;
  };
  for (const rail of list) {
    const line = node("tr");
    line.append(node("td", rail.breached ? "BREACHED" : "holds", rail.breached ? "bad" : "good"), node("td", rail.name.replace(/_s$/, "").replaceAll("_", " ")), node("td", text(rail, rail.measured), "number"), node("td", `≤ ${text(rail, rail.limit)}`, "number"), node("td", SAYS[rail.name] ?? ""));
    body.append(line);
  }
  table.append(top, body);
  const scroll = node("div", "", "scroll");
  scroll.append(table);
  return scroll;
}

/** `canary`: what `/canaries/{id}` answers. */
export function drawCanary(body, canary) {
  const { standing, observations: rows } = canary;
  const wins = standing?.wins_at;
  body.replaceChildren(
    facts([
      ["State", canary.state],
      ["Why", canary.reason],
      ["Beside", `version ${canary.champion}, traded by ${canary.champion_strategy}`],
      ["Trades as", canary.strategy],
      ["Capital", `${money(canary.capital)} USDT; the champion has ${money(canary.champion_capital)} USDT`],
      ["Step", standing ? `${canary.step} of ${standing.steps}: ${percent(standing.share, 1)} of the champion's capital, ${money(String(canary.rules.cap))} USDT at most` : String(canary.step)],
      ["This step still asks", standing ? `${standing.dwell_left_s > 0 ? `${seconds(standing.dwell_left_s)} more` : "no more time"}, ${Math.max(0, standing.fills_needed - standing.fills)} more fills (${standing.fills} of ${standing.fills_needed})` : ""],
      ["Next pair in", standing ? (standing.next_pair_in_s === null ? "once both have decided" : seconds(standing.next_pair_in_s)) : ""],
      ["Ends without a winner in", standing ? seconds(standing.ends_in_s) : ""],
      ["Evidence for it", `log e ${canary.log_e === null ? "–" : canary.log_e.toFixed(2)}, best ${canary.best_log_e.toFixed(2)}${wins === undefined ? "" : `; it wins at ${wins.toFixed(2)}`}`],
      ["Evidence of harm", `log e ${canary.harm_log_e.toFixed(2)}${standing ? `; it is ended at ${standing.harms_at.toFixed(2)}` : ""}`],
      ["p, valid at any look", canary.p_value.toPrecision(3)],
      ["Mean difference", canary.low === null ? `from ${standing?.pairs_needed ?? 30} pairs on; ${canary.intervals} so far` : `${(canary.low * 1e4).toFixed(1)} to ${(canary.high * 1e4).toFixed(1)} bps per pair`],
      ["Began", fullTime(canary.started_at)],
      ["Ended", canary.ended_at ? fullTime(canary.ended_at) : ""],
      ["May try again", canary.cool_until ? fullTime(canary.cool_until) : ""],
    ]),
    node("h2", "Guard rails"),
    canary.rails.length ? rails(canary.rails) : node("p", "Not measured yet: canaries are looked at every ten seconds."),
    node("h2", "Both results"),
    rows.length
      ? chart("Net result so far per capital, each interval paired", [{ name: "canary", values: sums(rows, "canary_return") }, { name: "champion", values: sums(rows, "champion_return") }], [], (value) => `${(value * 1e4).toFixed(1)} bps`)
      : node("p", `No interval is over yet; one takes ${seconds(canary.rules.interval_s)}.`),
    node("h2", "The sequential test"),
    rows.some((row) => row.log_e !== null)
      ? chart(
          "Evidence after each pair; looking at every one is allowed",
          [{ name: "better", values: rows.map((row) => row.log_e) }, { name: "harm", values: rows.map((row) => row.harm_log_e) }],
          standing ? [{ name: "wins at", at: standing.wins_at }, { name: "ends for harm at", at: standing.harms_at }] : [],
          (value) => value.toFixed(2),
        )
      : node("p", `The test speaks from ${standing?.pairs_needed ?? 30} pairs on; there are ${rows.length}.`),
  );
}
