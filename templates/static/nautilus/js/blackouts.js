// Blackouts of the risk page: setting one acts at once, ending one early files a request.
import { call } from "./api.js";
import { button } from "./order-actions.js";
import { can, refetch } from "./shell.js";
import { showProblem } from "./toast.js";

const dialog = document.getElementById("blackout-dialog");
const form = dialog.querySelector("form");
const result = dialog.querySelector("[data-result]");
let ending = null;

/** The buttons of one row. */
export function blackoutActions(row) {
  const lasts = row.state === "in_force" || row.state === "to_come";
  return lasts && can("risk.propose") && button("End…", `Ask to end the blackout of ${row.scope}`, () => open(row));
}

function open(row) {
  ending = row;
  document.getElementById("blackout-title").textContent = row ? "End blackout" : "Set blackout";
  dialog.querySelector("[data-effect]").textContent = row
    ? `${row.scope} takes no new risk: ${row.reason}. Ending it early files a request for a second person.`
    : "Orders of the scope that add risk are denied for that time; what reduces a position passes.";
  dialog.querySelector("[data-window]").hidden = Boolean(row);
  form.ends_at.required = !row;
  dialog.querySelector("[data-confirm]").textContent = row ? "File the request" : "Set now";
  result.hidden = true;
  form.reason.value = "";
  dialog.showModal();
}

function say(text) {
  result.hidden = false;
  result.dataset.tone = "good";
  result.textContent = text;
}

/** Listen to the button and the dialog. */
export function bindBlackouts() {
  document.getElementById("set-blackout")?.addEventListener("click", () => open(null));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const reason = form.reason.value;
    try {
      if (ending) {
        await call("POST", `/api/v1/blackouts/${ending.id}/end`, { reason });
        say("Request filed; the blackout stays until a second person approves.");
      } else {
        const starts = form.starts_at.value ? { starts_at: `${form.starts_at.value}Z` } : {};
        const { body } = await call("POST", "/api/v1/blackouts", { scope: form.scope.value, ends_at: `${form.ends_at.value}Z`, reason, ...starts });
        say(`${body.scope} takes no new risk until ${body.ends_at}.`);
      }
      refetch();
    } catch (error) {
      showProblem(result, error);
    }
  });
}
