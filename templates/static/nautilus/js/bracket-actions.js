// Buttons of a position's protection: move its exits, take it down.
import { call } from "./api.js";
import { exitsOf } from "./new-order.js";
import { button } from "./order-actions.js";
import { complain, showProblem, toast } from "./toast.js";

const dialog = document.getElementById("bracket-dialog");

export function bracketActions({ mayTrade, onChanged }) {
  if (!mayTrade || !dialog) return () => [];
  let moving = null;
  const form = dialog.querySelector("form");
  const result = dialog.querySelector("[data-result]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await call("POST", `/api/v1/brackets/${moving.id}/move`, { ...exitsOf(form), reason: form.reason.value });
      toast(`Moving the protection of ${moving.symbol}`);
      dialog.close();
      onChanged();
    } catch (error) {
      showProblem(result, error);
    }
  });
  return (bracket) => {
    if (bracket.state === "DONE" || bracket.exit_reason) return [];
    const move = button("Move", `Move the protection of ${bracket.symbol}`, () => {
      moving = bracket;
      form.reset();
      result.hidden = true;
      dialog.showModal();
      form.stop_loss.focus();
    });
    const down = button("Take down", `Take down the protection of ${bracket.symbol}`, () => takeDown(bracket, down, onChanged));
    return [move, down];
  };
}

// Asked twice on purpose: without protection the position stays, bare.
async function takeDown(bracket, element, onChanged) {
  if (element.dataset.armed !== "1") {
    element.dataset.armed = "1";
    element.textContent = "Really?";
    setTimeout(() => {
      element.dataset.armed = "";
      element.textContent = "Take down";
    }, 4000);
    return;
  }
  element.disabled = true;
  try {
    await call("DELETE", `/api/v1/brackets/${bracket.id}`);
    toast(`Taking down the protection of ${bracket.symbol}`);
    onChanged();
  } catch (error) {
    complain(error);
    element.disabled = false;
  }
}
