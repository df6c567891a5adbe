import { bracketActions } from "./bracket-actions.js";
import { openExplain } from "./explain.js";
import { confirm } from "./freshness.js";
import { bindNewOrder } from "./new-order.js";
import { orderActions } from "./order-actions.js";
import { can, config, feed, onEvent, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";

const orders = new LiveTable("orders", config.tables.orders, {
  actions: orderActions({ explain: openExplain, mayCancel: can("orders.cancel") }),
  onOpen: (row) => openExplain(row.id),
});
const brackets = new LiveTable("brackets", config.tables.brackets, {
  limit: 30,
  actions: bracketActions({ mayTrade: can("orders.place"), onChanged: () => refetchSoon(500) }),
});
const fills = new LiveTable("fills", config.tables.fills, { limit: 100, onOpen: (row) => openExplain(row.order_id) });
const form = document.getElementById("filters");
const older = document.getElementById("older");
const mids = new Map();

function query() {
  const chosen = new URLSearchParams();
  for (const [name, value] of new FormData(form)) if (value) chosen.set(name, value);
  return chosen;
}

function showCall() {
  const chosen = query();
  if (chosen.get("open")) chosen.delete("open");
  const path = `/api/v1/orders${chosen.size ? `?${chosen}` : ""}`;
  document.getElementById("api-call").textContent = `GET ${path}`;
  document.querySelector('[data-panel="orders"] [data-api]').href = path;
}

function matches(order) {
  const chosen = query();
  for (const name of ["symbol", "status", "side", "strategy", "account"]) {
    if (chosen.get(name) && String(order[name] ?? "").toUpperCase() !== chosen.get(name).toUpperCase()) return false;
  }
  return !chosen.get("open") || ["RESERVED", "SENDING", "UNKNOWN", "NEW", "PARTIALLY_FILLED"].includes(order.status);
}

function apply(event) {
  event?.preventDefault();
  const chosen = query();
  history.replaceState(null, "", chosen.size ? `?${chosen}` : location.pathname);
  showCall();
  refetch();
}

form.addEventListener("submit", apply);
form.addEventListener("change", apply);

onState((state) => {
  orders.set(state.orders);
  brackets.set(state.brackets);
  fills.set(state.fills);
  older.hidden = !state.older;
  const next = query();
  next.set("before", state.older ?? "");
  older.href = `?${next}`;
  confirm("page", 0, 45);
  confirm("live", 0, 15); // the state is as fresh as an event
});
onEvent(({ topic, data }) => {
  if (topic === "orders") {
    if (new URLSearchParams(location.search).get("before")) return;
    if (matches(data)) orders.upsert(data, { flash: true });
    else orders.remove(data.id);
    refetchSoon(3000);
  } else if (topic === "fills") {
    const symbol = query().get("symbol");
    if (!symbol || symbol.toUpperCase() === data.symbol) fills.upsert(data, { flash: true });
    refetchSoon(3000);
  } else if (topic === "prices" && !data.bar) {
    for (const [symbol, quote] of Object.entries(data.quotes ?? data)) if (quote?.mid) mids.set(symbol, quote.mid);
  }
});
feed.addEventListener("tick", () => feed.status === "live" && confirm("live", 0, 15));
bindNewOrder({ mids, onPlaced: (order) => matches(order) && orders.upsert(order, { flash: true }) });
showCall();
start();
const asked = new URLSearchParams(location.search).get("explain");
if (asked) openExplain(asked);
