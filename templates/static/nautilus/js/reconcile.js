import { call, stepUp } from "./api.js";
import { plain } from "./format.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { can, config, onEvent, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { complain, showProblem, toast } from "./toast.js";

const RENEW_S = 5; // ages are not events
const dialog = document.getElementById("adopt-dialog");
const verdict = document.querySelector("[data-verdict]");
const names = ["divergences", "balances", "positions", "orders", "fills", "sweeps", "runs", "statements"];
const tables = Object.fromEntries(names.map((name) => [name, new LiveTable(name, config.tables[name], name === "divergences" ? { actions } : {})]));
let chosen = null;

function actions(row) {
  const made = [];
  if (row.approval) {
    const link = document.createElement("a");
    link.href = `/approvals/#${row.approval}`;
    link.textContent = "waits for a decision";
    made.push(link);
  } else if (row.adoptable && dialog) {
    made.push(button("Adopt…", `Ask to adopt the exchange's figure of ${row.subject} on ${row.account}`, () => openAdopt(row)));
  }
  return made;
}

function openAdopt(row) {
  chosen = row;
  const what = row.kind === "POSITION_MISMATCH" ? "position" : "balance";
  dialog.querySelector("[data-effect]").textContent = `The ${what} of ${row.subject} on ${row.account} would go from ${plain(row.ours)} to ${plain(row.theirs)} by one adjustment.`;
  dialog.querySelector("[data-result]").hidden = true;
  dialog.querySelector("form").reason.value = "";
  dialog.showModal();
}

dialog?.querySelectorAll("[data-close]").forEach((element) => element.addEventListener("click", () => dialog.close()));
dialog?.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const result = dialog.querySelector("[data-result]");
  try {
    const { body } = await call("POST", `/api/v1/reconcile/divergences/${chosen.id}/adopt`, { reason: event.target.reason.value });
    result.hidden = false;
    result.dataset.tone = "good";
    result.textContent = "Request filed; nothing is booked until a second person approves.";
    const link = document.createElement("a");
    link.href = `/approvals/#${body.id}`;
    link.textContent = " Open the request";
    result.append(link);
    refetch();
  } catch (error) {
    if (error.code === "STEP_UP_REQUIRED") return stepUp({ do: "adopt" });
    showProblem(result, error);
  }
});

function judge({ open, confirmed, lag_s: lag }) {
  verdict.dataset.tone = confirmed ? "bad" : open ? "warn" : "good";
  const since = lag === null || lag === undefined ? "never found equal yet" : `found equal ${Math.round(lag)} s ago`;
  verdict.textContent = open ? `${open} open difference${open === 1 ? "" : "s"}, ${confirmed} confirmed; ${since}.` : `Both books agree; ${since}.`;
}

onState((state) => {
  for (const name of names) tables[name].set(state[name]);
  judge(state.summary);
  confirm("page", 0, 20);
});
onEvent(({ topic }) => {
  if (["reconcile", "incidents", "trading_state", "approvals"].includes(topic)) refetchSoon(300);
});

const now = document.getElementById("reconcile-now");
now?.addEventListener("click", async () => {
  const account = document.getElementById("reconcile-account").value;
  now.disabled = true;
  try {
    await call("POST", "/api/v1/reconcile", account ? { account } : {});
    toast(`A full comparison of ${account || "every account"} was asked for; its run appears below.`);
    refetchSoon(500);
  } catch (error) {
    complain(error);
  } finally {
    now.disabled = false;
  }
});
setInterval(() => document.visibilityState === "visible" && refetch(), RENEW_S * 1000);
start();
