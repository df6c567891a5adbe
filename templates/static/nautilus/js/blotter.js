import { parameters } from "./address.js";
import { bracketActions } from "./bracket-actions.js";
import { openExplain } from "./explain.js";
import { confirm } from "./freshness.js";
import { bindNewOrder } from "./new-order.js";
import { orderActions } from "./order-actions.js";
import { can, config, feed, onEvent, onState, refetchSoon, start } from "./shell.js";
import { bindFilters, bindOlder } from "./page-filters.js";
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
const filters = bindFilters(document.getElementById("filters"));
const showOlder = bindOlder(document.getElementById("older"));
const mids = new Map();

function matches(order) {
  const chosen = filters.values();
  for (const name of ["symbol", "status", "side", "strategy", "account"]) {
    if (chosen[name] && String(order[name] ?? "").toUpperCase() !== chosen[name].toUpperCase()) return false;
  }
  return !chosen.open || ["RESERVED", "SENDING", "UNKNOWN", "NEW", "PARTIALLY_FILLED"].includes(order.status);
}

onState((state) => {
  orders.set(state.orders);
  brackets.set(state.brackets);
  fills.set(state.fills);
  showOlder(state.older);
  confirm("page", 0, 45);
  confirm("live", 0, 15); // the state is as fresh as an event
});
onEvent(({ topic, data }) => {
  if (topic === "orders") {
    if (parameters().get("before")) return;
    if (matches(data)) orders.upsert(data, { flash: true });
    else orders.remove(data.id);
    refetchSoon(3000);
  } else if (topic === "fills") {
    const { symbol } = filters.values();
    if (!symbol || symbol.toUpperCase() === data.symbol) fills.upsert(data, { flash: true });
    refetchSoon(3000);
  } else if (topic === "prices" && !data.bar) {
    for (const [symbol, quote] of Object.entries(data.quotes ?? data)) if (quote?.mid) mids.set(symbol, quote.mid);
  }
});
feed.addEventListener("tick", () => feed.status === "live" && confirm("live", 0, 15));
bindNewOrder({ mids, onPlaced: (order) => matches(order) && orders.upsert(order, { flash: true }) });
start();
const asked = parameters().get("explain");
if (asked) openExplain(asked);
