// Buttons of an order's row: explain it, cancel it.
import { call } from "./api.js";
import { complain, toast } from "./toast.js";

export const OPEN = new Set(["RESERVED", "SENDING", "UNKNOWN", "NEW", "PARTIALLY_FILLED"]);

export function button(text, label, onClick, className = "button-small") {
  const element = document.createElement("button");
  element.type = "button";
  element.className = className;
  element.textContent = text;
  element.setAttribute("aria-label", label);
  element.addEventListener("click", onClick);
  return element;
}

export function orderActions({ explain, mayCancel }) {
  return (order) => {
    const actions = [button("Explain", `Explain order ${order.id}`, () => explain(order.id), "button-small button-quiet")];
    if (mayCancel && OPEN.has(order.status)) {
      const cancel = button(order.cancel_requested ? "Cancelling" : "Cancel", `Cancel order ${order.id}`, () => cancelOrder(order, cancel));
      cancel.disabled = Boolean(order.cancel_requested);
      actions.push(cancel);
    }
    return actions;
  };
}

async function cancelOrder(order, element) {
  element.disabled = true;
  element.textContent = "Cancelling";
  try {
    await call("DELETE", `/api/v1/orders/${order.id}`);
    toast(`Cancel asked for: ${order.side} ${order.quantity} ${order.symbol}`);
  } catch (error) {
    complain(error);
    element.disabled = false;
    element.textContent = "Cancel";
  }
}
