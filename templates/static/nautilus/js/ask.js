// One dialog for every action that needs a reason: it says what will happen, asks, calls, and shows the answer.
import { call, stepUp } from "./api.js";
import { refetch } from "./shell.js";
import { showProblem } from "./toast.js";

const dialog = document.getElementById("ask-dialog");
const form = dialog?.querySelector("form");
let asked = null;

/** A labelled input; `options` makes it a menu, `lines` a text of more than one line. */
export function field(name, title, { value = "", type = "text", options = null, lines = 0, required = false, wide = false } = {}) {
  const label = document.createElement("label");
  if (wide) label.className = "wide";
  label.append(`${title} `);
  const input = document.createElement(options ? "select" : lines ? "textarea" : "input");
  input.name = name;
  if (options) for (const word of options) input.append(new Option(word, word, word === value, word === value));
  else {
    if (lines) input.rows = lines;
    else input.type = type;
    input.value = value;
    input.autocomplete = "off";
  }
  input.required = required;
  label.append(input);
  return label;
}

/** Open it. `request(values)` gives `{method, path, body}`; `said(status, body)` words the answer. */
export function ask({ title, effect, confirm, fields = [], needsReason = true, request, said, intent = null }) {
  asked = { request, said, intent };
  document.getElementById("ask-title").textContent = title;
  dialog.querySelector("[data-effect]").textContent = effect;
  dialog.querySelector("[data-fields]").replaceChildren(...fields);
  dialog.querySelector("[data-reason]").hidden = !needsReason;
  form.reason.required = needsReason;
  form.reason.value = "";
  dialog.querySelector("[data-confirm]").textContent = confirm;
  dialog.querySelector("[data-result]").hidden = true;
  dialog.showModal();
}

dialog?.querySelectorAll("[data-close]").forEach((element) => element.addEventListener("click", () => dialog.close()));
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const result = dialog.querySelector("[data-result]");
  const values = Object.fromEntries(new FormData(form));
  try {
    const { method, path, body } = asked.request(values);
    const answer = await call(method, path, body);
    result.hidden = false;
    result.dataset.tone = "good";
    result.textContent = asked.said(answer.status, answer.body);
    if (answer.status === 202 && answer.body?.requester) {
      const link = document.createElement("a");
      link.href = `/approvals/#${answer.body.id}`;
      link.textContent = " Open the request";
      result.append(link);
    }
    refetch();
  } catch (error) {
    if (error.code === "STEP_UP_REQUIRED" && asked.intent) return stepUp(asked.intent);
    showProblem(result, error);
  }
});
