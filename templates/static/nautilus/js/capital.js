import { call } from "./api.js";
import { drawFlow } from "./capital-flow.js";
import { whatIfFollows } from "./capital-what-if.js";
import { plain } from "./format.js";
import { confirm } from "./freshness.js";
import { config, onEvent, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { showProblem } from "./toast.js";

const RENEW_S = 10; // a run that changes nothing is no event
const names = ["allocations", "leaderboard", "weights", "changes", "routing", "runs", "activations"];
const tables = Object.fromEntries(names.map((name) => [name, new LiveTable(name, config.tables[name])]));
const explanation = document.querySelector("[data-explanation]");
const waiting = document.querySelector("[data-waiting]");
const dialog = document.getElementById("ask-dialog");
const askButton = document.getElementById("ask-open");
const resetButton = document.getElementById("reset-open");
let asked = null;
let current = null;

function held() {
  return (current?.allocations ?? []).filter((row) => row.proposed !== null);
}

function open(route, effect) {
  asked = route;
  dialog.querySelector("[data-effect]").textContent = effect;
  dialog.querySelector("[data-result]").hidden = true;
  dialog.querySelector("form").reason.value = "";
  dialog.showModal();
}

askButton?.addEventListener("click", () => {
  const rows = held();
  const words = rows.map((row) => `${row.strategy} from ${plain(row.amount)} to ${plain(row.proposed)} USDT`);
  open(`/api/v1/allocations/runs/${rows[0].run}/request`, `Asks for ${words.join(", ")}.`);
});
resetButton?.addEventListener("click", () =>
  open("/api/v1/allocations/reset", "Asks for capital to be given out again, beginning with a tenth of the pool and a tenth more every day. From then on a fall is measured from the equity of that moment."),
);
dialog?.querySelectorAll("[data-close]").forEach((element) => element.addEventListener("click", () => dialog.close()));
dialog?.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const result = dialog.querySelector("[data-result]");
  try {
    const { body } = await call("POST", asked, { reason: event.target.reason.value });
    result.hidden = false;
    result.dataset.tone = "good";
    result.textContent = "Request filed; nothing changes until a second person approves.";
    const link = document.createElement("a");
    link.href = `/approvals/#${body.id}`;
    link.textContent = " Open the request";
    result.append(link);
    refetch();
  } catch (error) {
    showProblem(result, error);
  }
});

onState((state) => {
  current = state;
  for (const name of names) tables[name].set(state[name]);
  const { run, stopped, request_waits: waits } = state.summary;
  explanation.textContent = run ? run.explanation : "The equity is being measured: the allocator decides once everything that is held has a price.";
  explanation.dataset.tone = stopped || run?.outcome === "refused" ? "bad" : "good";
  drawFlow(document.querySelector("[data-now] [data-flow]"), state.flow);
  whatIfFollows(state.summary.document, state.flow?.equity);
  waiting.hidden = !waits;
  if (waits) {
    waiting.querySelector("a").href = `/approvals/#${waits.id}`;
    waiting.querySelector("span").textContent =
      waits.kind === "capital.endorse" ? "The allocator asks for more than it may give alone; two people decide." : "A request for more capital waits for a second person.";
  }
  if (askButton) askButton.disabled = Boolean(waits) || held().length === 0;
  if (resetButton) resetButton.hidden = !stopped;
  confirm("page", 0, 45);
});
onEvent(({ topic }) => ["trading_state", "approvals"].includes(topic) && refetchSoon(300));
setInterval(() => document.visibilityState === "visible" && refetch(), RENEW_S * 1000);
start();
