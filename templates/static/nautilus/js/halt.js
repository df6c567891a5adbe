// Halt: Shift+H or the button, Enter confirms. Lowering risk never needs typing; resuming files a request.
import { call, stepUp, takeIntent } from "./api.js";
import { showProblem } from "./toast.js";

const LEVEL_WORDS = {
  REDUCING: "No new risk. Orders that shrink a position still pass; orders that would add risk are cancelled.",
  HALT_NEW: "No order of any kind is sent, only cancels. Working orders and positions stay.",
  CANCEL: "No order is sent and every working order is cancelled at the exchange. Positions and their protective stops stay.",
  FLATTEN: "Every working order is cancelled, then every position of the scope is sold in slices near the market price. This costs money and cannot be undone.",
};

export function bindHalt({ config, feed, refetch }) {
  const dialog = document.getElementById("halt-dialog");
  if (!dialog) return;
  const form = dialog.querySelector("form");
  const result = dialog.querySelector("[data-result]");
  const go = dialog.querySelector("[data-confirm]");
  const meaning = dialog.querySelector("[data-meaning]");
  let watching = null;

  const explain = () => {
    meaning.textContent = LEVEL_WORDS[form.level.value];
    form.querySelector("[data-stops]").hidden = form.level.value !== "CANCEL";
  };
  form.level.addEventListener("change", explain);

  const open = (scope = "global") => {
    if (dialog.open) return;
    result.hidden = true;
    go.disabled = form.scope.options.length === 0;  // a model owner without a model that trades
    go.textContent = "Halt now";
    if ([...form.scope.options].some((option) => option.value === scope)) form.scope.value = scope;
    form.level.value = "CANCEL";
    form.include_stops.checked = false;
    form.reason.value = `Manual halt by ${config.user} from ${document.title.split(" · ")[0]}`;
    explain();
    dialog.showModal();
    go.focus();
  };

  document.addEventListener("keydown", (event) => {
    if (event.key !== "H" || !event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable]")) return;
    event.preventDefault();
    open();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-open-halt]");
    if (button) open(button.dataset.openHalt || "global");
  });

  const say = (tone, text) => {
    result.hidden = false;
    result.dataset.tone = tone;
    result.textContent = text;
  };

  feed.addEventListener("event", ({ detail }) => {
    const news = detail.topic === "trading_state" ? detail.data.enforcement ?? detail.data : null;
    if (!watching || !news || news.cancel_requested === undefined || news.scope !== watching) return;
    say(news.confirmed ? "good" : "warn", outcome(news));
  });

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (go.disabled) return;
    go.disabled = true;
    const began = performance.now();
    const scope = form.scope.value;
    watching = scope;
    const progress = setInterval(() => {
      say("warn", `Halting ${scope}: waiting for the exchange, ${((performance.now() - began) / 1000).toFixed(1)} s`);
    }, 100);
    try {
      const { body } = await call("POST", "/api/v1/kill", { scope, level: form.level.value, reason: form.reason.value, include_stops: form.level.value === "CANCEL" && form.include_stops.checked }, { timeoutS: 60 });
      clearInterval(progress);
      say(body.confirmed ? "good" : "warn", `${body.level} is in force for ${body.scope}. ${outcome(body)}`);
      go.textContent = "Halted";
      refetch();
    } catch (error) {
      clearInterval(progress);
      showProblem(result, error);
      result.append(" If the platform does not answer, use the command line: manage.py kill --reason …, or the exchange's own page.");
      go.disabled = false;
      go.textContent = "Try again";
    }
  });
  dialog.addEventListener("close", () => (watching = null));
  bindResume({ refetch });
}

/** What the exchange confirmed, in words. */
export function outcome(report) {
  const remaining = report.open_orders_remaining;
  const orders = remaining === null || remaining === undefined ? "The number of open orders is not known yet"
    : `${remaining} open ${remaining === 1 ? "order" : "orders"} left at the exchange`;
  const time = report.elapsed_s === undefined ? "" : ` in ${Number(report.elapsed_s).toFixed(1)} s`;
  const asked = report.cancel_requested ? ` (${report.cancel_requested} ${report.cancel_requested === 1 ? "cancel" : "cancels"} asked for)` : "";
  return report.confirmed ? `${orders}, confirmed${time}${asked}.` : `${orders}, not confirmed yet${time}${asked}. Cancelling goes on until the exchange confirms.`;
}

function bindResume({ refetch }) {
  const dialog = document.getElementById("resume-dialog");
  if (!dialog) return;
  const form = dialog.querySelector("form");
  const result = dialog.querySelector("[data-result]");
  const open = (scope, reason = "") => {
    result.hidden = true;
    if (scope) form.scope.value = scope;
    if (reason) form.reason.value = reason;
    dialog.showModal();
    form.reason.focus();
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-open-resume]");
    if (button) open(button.dataset.openResume);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = { scope: form.scope.value, to_level: form.to_level.value, reason: form.reason.value };
    const button = form.querySelector("[data-confirm]");
    button.disabled = true;
    try {
      const { body } = await call("POST", "/api/v1/resume", wanted);
      const approval = body.approval ?? body;
      result.hidden = false;
      result.dataset.tone = "good";
      result.textContent = "Request filed. Nothing has changed yet: a second person decides. ";
      const link = document.createElement("a");
      link.href = `/approvals/#${approval.id}`;
      link.textContent = "Open the request";
      result.append(link);
      refetch();
    } catch (error) {
      if (error.code === "STEP_UP_REQUIRED") return stepUp({ do: "resume", ...wanted });
      showProblem(result, error);
    } finally {
      button.disabled = false;
    }
  });
  if (sessionStorage.getItem("nautilus.intent")?.includes('"do":"resume"')) {
    const intent = takeIntent();
    if (intent) {
      open(intent.scope, intent.reason);
      form.to_level.value = intent.to_level;
    }
  }
}
