// A manual order: check first (every rail answers, nothing is sent), then place exactly what was checked.
import { call, randomKey } from "./api.js";
import { checksTable } from "./explain-parts.js";
import { money } from "./format.js";
import { showProblem, toast } from "./toast.js";

/** Types that trade at the market, now or when they trigger, and types that wait for a trigger. */
const atMarket = (type) => type.endsWith("MARKET");
const waits = (type) => type.startsWith("STOP") || type.startsWith("TAKE") || type.startsWith("TRAILING");

/** Stop, take-profits and trail of a form as the API takes them; what is empty is left out. */
export function exitsOf(form) {
  const exits = {};
  if (form.stop_loss.value) exits.stop_loss = form.stop_loss.value;
  const targets = form.take_profit.value.split(",").map((text) => text.trim()).filter(Boolean);
  if (targets.length) exits.take_profit = targets.length === 1 ? targets[0] : targets;
  if (form.trailing.value) exits.trailing = form.trailing.value;
  return exits;
}

const dialog = document.getElementById("order-dialog");

export function bindNewOrder({ mids, onPlaced }) {
  if (!dialog) return;
  const form = dialog.querySelector("form");
  const result = dialog.querySelector("[data-result]");
  const checks = dialog.querySelector("[data-checks]");
  const effect = dialog.querySelector("[data-effect]");
  const place = dialog.querySelector("[data-confirm]");
  let checked = null;
  let key = null;

  const wanted = () => {
    const order = { account: form.account.value, symbol: form.symbol.value, side: form.side.value, type: form.type.value, quantity: form.quantity.value, reduce_only: form.reduce_only.checked };
    if (!atMarket(form.type.value)) order.price = form.price.value;
    if (waits(form.type.value) && form.stop_price.value) order.stop_price = form.stop_price.value;
    Object.assign(order, exitsOf(form));
    if (form.position_side.value) order.position_side = form.position_side.value;
    if (form.time_in_force.value) order.time_in_force = form.time_in_force.value;
    return order;
  };
  const changed = () => {
    const type = form.type.value;
    const market = type === "MARKET";
    form.price.disabled = atMarket(type);
    form.price.required = !atMarket(type);
    form.stop_price.disabled = !waits(type);
    form.stop_price.required = waits(type) && type !== "TRAILING_STOP_MARKET";
    checked = null;
    place.disabled = true;
    checks.replaceChildren();
    result.hidden = true;
    const price = market ? Number(mids.get(form.symbol.value)) : Number(form.price.value || form.stop_price.value);
    const value = price * Number(form.quantity.value);
    const base = `${form.side.value} ${form.quantity.value || "…"} ${form.symbol.value}`;
    effect.textContent = value > 0
      ? `Effect: ${base} for about ${money(value.toFixed(2))} in quote currency${market ? " at the middle price" : ""}. ${form.side.value === "BUY" ? "Cash goes down, exposure up" : "Exposure goes down, cash up"}, if it fills whole.`
      : `${base}: check it to see what every rail says. Nothing is sent by checking.`;
  };
  form.addEventListener("input", changed);

  const check = async () => {
    if (!form.reportValidity()) return;
    const order = wanted();
    result.hidden = true;
    try {
      const { body } = await call("POST", "/api/v1/orders", { ...order, dry_run: true });
      checks.replaceChildren(checksTable(body.checks ?? []));
      const denied = body.denial ?? (body.checks ?? []).find((one) => !one.passed);
      result.hidden = false;
      result.dataset.tone = denied ? "warn" : "good";
      result.textContent = denied ? `Would be denied: ${denied.code ?? denied.rail}. Nothing was sent.` : "Every rail lets it through. Nothing was sent yet.";
      checked = denied ? null : JSON.stringify(order);
      key = randomKey();
    } catch (error) {
      checked = null;
      checks.replaceChildren(...(error.body?.checks ? [checksTable(error.body.checks)] : []));
      showProblem(result, error);
    }
    place.disabled = checked === null;
  };
  document.getElementById("order-check").addEventListener("click", check);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const order = wanted();
    if (checked !== JSON.stringify(order)) return check();
    place.disabled = true;
    try {
      const { body } = await call("POST", "/api/v1/orders?wait=ack&timeout=5", order, { key });
      toast(`${body.status}: ${body.side} ${body.quantity} ${body.symbol}`);
      dialog.close();
      onPlaced(body);
    } catch (error) {
      showProblem(result, error);
      // Unknown outcome: the same key makes a repeat harmless. Anything else needs a new check.
      if (error.status === 0) place.disabled = false;
      else checked = null;
      if (error.body?.checks) checks.replaceChildren(checksTable(error.body.checks));
    }
  });
  document.getElementById("new-order").addEventListener("click", () => {
    changed();
    dialog.showModal();
    form.quantity.focus();
  });
}
