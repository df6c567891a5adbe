import { leaveOut, parameters, write } from "./address.js";
import { fetchBars, intervalSeconds, mergeInto, parseBars } from "./bars.js";
import { barElement, cellText } from "./cells.js";
import { EquityChart, PriceChart } from "./charts.js";
import { clock, fullTime, money, signOf } from "./format.js";
import { confirm } from "./freshness.js";
import { OPEN, orderActions } from "./order-actions.js";
import { paint } from "./paint.js";
import { recall, remember } from "./preferences.js";
import { can, config, feed, onEvent, onState, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { complain } from "./toast.js";

const explain = (id) => location.assign(`/orders/?explain=${id}`);
const actions = orderActions({ explain, mayCancel: can("orders.cancel") });
const tableOf = (name, options) => new LiveTable(name, config.tables[name], options);
const tables = {
  orders: tableOf("orders", { actions, onOpen: (row) => explain(row.id) }),
  recent_orders: tableOf("recent_orders", { actions, limit: 40, onOpen: (row) => explain(row.id) }),
  fills: tableOf("fills", { limit: 60, onOpen: (row) => explain(row.order_id) }),
  positions: tableOf("positions"),
  strategies: tableOf("strategies"),
  limits: tableOf("limits"),
  breakers: tableOf("breakers"),
  processes: tableOf("processes"),
};
const price = new PriceChart(document.getElementById("price-chart"));
const equity = new EquityChart(document.getElementById("equity-chart"));
const symbolBox = document.getElementById("symbol");
const intervalBox = document.getElementById("interval");
const accounts = new Map();
let events = [];
let loading = 0;
let clockOffsetS = 0; // this machine's clock against the server's

function showTile(id, { value, kind, note, share }) {
  paint(`tile:${id}`, () => {
    const tile = document.querySelector(`[data-tile="${id}"]`);
    const output = tile.querySelector("output");
    const text = cellText(kind, value);
    if (output.textContent !== text) output.textContent = text;
    if (kind === "signed") {
      output.classList.toggle("up", signOf(value) > 0);
      output.classList.toggle("down", signOf(value) < 0);
    }
    if (note !== undefined) tile.querySelector(".note").textContent = note;
    if (share !== undefined) {
      tile.querySelector(".bar")?.remove();
      if (share !== null) tile.append(barElement(share));
    }
  });
}

function showEvents() {
  paint("events", () => {
    const list = document.getElementById("events");
    list.replaceChildren(...events.map((event) => {
      const item = document.createElement("li");
      const time = document.createElement("time");
      time.dateTime = event.at;
      time.title = fullTime(event.at);
      time.className = "muted number";
      time.textContent = clock(event.at);
      const topic = document.createElement("span");
      topic.className = "tag";
      topic.textContent = event.topic.replace("_", " ");
      const text = document.createElement("span");
      text.textContent = describe(event);
      item.append(time, topic, text);
      return item;
    }));
    document.getElementById("events-empty").hidden = events.length > 0;
  });
}

function describe({ topic, data }) {
  switch (topic) {
    case "orders": return `${data.side} ${data.quantity} ${data.symbol} ${data.status}${data.code ? ` (${data.code})` : ""}`;
    case "fills": return `${data.side} ${data.quantity} ${data.symbol} @ ${data.price}`;
    case "trading_state": {
      const news = data.enforcement ?? data;
      return news.cancel_requested !== undefined
        ? `${news.scope}: ${news.open_orders_remaining ?? "?"} open orders left${news.confirmed ? ", confirmed" : ""}`
        : `${data.scope} ${data.level_name ?? ""} by ${data.changed_by ?? "?"}: ${data.reason ?? ""}`;
    }
    case "breakers": return `${data.name} [${data.scope}] ${data.state} ${data.reason ?? ""}`;
    case "approvals": return `${data.kind} ${data.target} ${data.state}`;
    default: return Object.entries(data).slice(0, 4).map(([key, value]) => `${key} ${typeof value === "object" ? "…" : value}`).join(", ");
  }
}

async function loadBars() {
  const [symbol, interval, ticket] = [symbolBox.value, intervalBox.value, ++loading];
  const empty = document.getElementById("price-empty");
  price.use(symbol, interval);
  if (!symbol) {
    empty.hidden = false;
    empty.textContent = "No instrument is known yet: the feed reads them from the exchange when it starts.";
    return;
  }
  try {
    const bars = await fetchBars(symbol, interval);
    if (ticket !== loading) return;
    price.setBars(bars);
    price.setFills(tables.fills.values());
    price.setOrders(tables.orders.values());
    empty.hidden = bars.length > 0;
    empty.textContent = bars.length ? "" : `No ${interval} bars of ${symbol} are stored yet; they appear as they close.`;
    if (bars.length) showPrice({ mid: String(bars.at(-1).close) });
  } catch (error) {
    if (ticket === loading) complain(error);
  }
}

function showPrice({ mid, bid, ask }) {
  paint("price", () => {
    document.getElementById("last-price").textContent = cellText("decimal", mid);
    document.getElementById("spread").textContent = bid && ask ? `bid ${cellText("decimal", bid)} · ask ${cellText("decimal", ask)}` : "";
  });
}

function onPrices(data) {
  for (const row of tables.positions.values()) {
    const quote = data[row.symbol];
    if (!quote?.mid || !row.entry_price) continue;
    const [mark, quantity] = [Number(quote.mid), Number(row.quantity)];
    // For the eye only, between two renewals from the server: the books are kept there, in decimals.
    tables.positions.upsert({ ...row, mark_price: String(quote.mid), market_value: (mark * quantity).toFixed(4), unrealized_pnl: ((mark - Number(row.entry_price)) * quantity).toFixed(4) });
  }
  const own = data[price.symbol];
  if (!own) return;
  confirm("prices", own.received_at ? Math.max(0, (Date.now() - Date.parse(own.received_at)) / 1000 - clockOffsetS) : 0, 15);
  showPrice(own);
  const marketAt = own.market_at ? Date.parse(own.market_at) / 1000 : null;
  paint("candle", () => {
    if (!price.bars.length) return;
    const exact = own.bars?.[price.interval];
    const finer = exact ? null : Object.keys(own.bars ?? {}).find((interval) => intervalSeconds(interval) < price.step);
    const [bar] = parseBars(exact ? [exact] : finer ? [own.bars[finer]] : []);
    if (bar) price.update(exact ? bar : mergeInto(price.bars.at(-1), bar, price.step));
    price.mid(Number(own.mid), marketAt);
  });
}

onState((state, received) => {
  if (received) clockOffsetS = (Date.now() - Date.parse(state.at)) / 1000;
  for (const name of Object.keys(tables)) tables[name].set(state[name]);
  for (const tile of state.tiles) showTile(tile.id, tile);
  accounts.clear();
  for (const row of state.accounts) accounts.set(row.account, row.equity);
  events = state.events;
  showEvents();
  if (state.equity.length) {
    equity.set(state.equity);
    const [first, last] = [state.equity[0], state.equity.at(-1)];
    const change = document.getElementById("equity-change");
    change.textContent = `${money(first.equity)} → ${money(last.equity)}`;
    confirm("equity", (Date.parse(state.at) - Date.parse(last.at)) / 1000, 60);
  } else confirm("equity", null, 60);
  document.getElementById("equity-empty").hidden = state.equity.length > 0;
  confirm("prices", state.prices_age_s, 15);
  confirm("page", 0, 45);
  confirm("live", 0, 15); // the state is as fresh as an event
  paint("marks", () => { price.setFills(state.fills); price.setOrders(state.orders); });
});

onEvent((event) => {
  const { topic, data } = event;
  if (topic === "prices") return onPrices(data);
  if (!["equity", "decisions"].includes(topic)) {
    events = [event, ...events.filter((known) => known.id !== event.id)].slice(0, 20);
    showEvents();
  }
  if (topic === "orders") {
    tables.recent_orders.upsert(data, { flash: true });
    if (OPEN.has(data.status)) tables.orders.upsert(data, { flash: true });
    else tables.orders.remove(data.id);
    paint("lines", () => price.setOrders(tables.orders.values()));
    refetchSoon();
  } else if (topic === "fills") {
    tables.fills.upsert(data, { flash: true });
    paint("fills", () => price.setFills(tables.fills.values()));
    refetchSoon();
  } else if (topic === "equity") {
    accounts.set(data.account, data.equity);
    const total = sumText([...accounts.values()]);
    showTile("equity", { value: total, kind: "money" });
    if (data.unrealized_pnl !== undefined && accounts.size === 1) showTile("unrealized_pnl", { value: data.unrealized_pnl, kind: "signed" });
    equity.add(data.at, total);
    document.getElementById("equity-empty").hidden = true;
    confirm("equity", 0, 60);
  } else if (topic === "breakers") {
    const row = tables.breakers.get(data.id);
    const tone = { closed: "good", open: "bad", half_open: "warn" }[data.state] ?? "off";
    tables.breakers.upsert({ ...row, ...data, lamp: { tone, text: String(data.state).replace("_", "-") }, changed_at: event.at }, { flash: true });
  } else if (topic === "decisions") refetchSoon(4000);
});

/** Exact sum of decimal texts, through integers of 18 decimals. */
function sumText(texts) {
  const SCALE = 18;
  let total = 0n;
  for (const text of texts) {
    const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(text);
    if (!match) continue;
    const units = BigInt(match[2] + (match[3] ?? "").padEnd(SCALE, "0").slice(0, SCALE));
    total += match[1] ? -units : units;
  }
  const digits = (total < 0n ? -total : total).toString().padStart(SCALE + 1, "0");
  return `${total < 0n ? "-" : ""}${digits.slice(0, -SCALE)}.${digits.slice(-SCALE)}`;
}

// The address decides; where it says nothing, what this browser remembers.
const asked = parameters();
const shownFirst = [asked.get("interval"), recall("interval")].find((interval) => config.intervals.includes(interval));
if (shownFirst) intervalBox.value = shownFirst;
if (asked.has("interval") && asked.get("interval") !== intervalBox.value) leaveOut("interval");
if (asked.has("symbol") && asked.get("symbol").toUpperCase().replace(/[^A-Z0-9]/g, "") !== symbolBox.value) leaveOut("symbol");
intervalBox.addEventListener("change", () => {
  remember("interval", intervalBox.value);
  write({ interval: intervalBox.value });
  loadBars();
});
symbolBox.addEventListener("change", () => {
  write({ symbol: symbolBox.value });
  loadBars();
});
feed.addEventListener("subscribed", (event) => event.detail.again && loadBars());
feed.addEventListener("tick", () => feed.status === "live" && confirm("live", 0, 15));
feed.addEventListener("event", () => confirm("live", 0, 15));
document.addEventListener("zonechange", showEvents);
loadBars();
start();
