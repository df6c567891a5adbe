// Keeping a view of a table: its name, whether the table opens with it, whether everybody finds it; and deleting one.
import { differing, inWords, same } from "./table-state.js";
import { showProblem, toast } from "./toast.js";

const dialog = document.getElementById("view-dialog");
const form = dialog?.querySelector("form");
const result = dialog?.querySelector("[data-result]");
const remove = dialog?.querySelector("[data-delete]");
let asked = null;

/**
 * Open it for a new view (`view` null) or one there is. `state` is what the table shows now, `others` the views there
 * are; `send(method, body, target)` tells the server, `closed()` is where the focus goes afterwards.
 */
export function openViewDialog({ view, state, columns, title, others, send, closed }) {
  asked = { view, state, columns, others, send, closed };
  const mine = !view || view.mine;
  document.getElementById("view-title").textContent = view ? `View of ${title}` : `Save a view of ${title}`;
  form.elements.name.value = view?.name ?? "";
  form.elements.name.disabled = !mine;
  form.elements.default.checked = view?.default ?? false;
  if (form.elements.shared) {
    form.elements.shared.checked = view?.shared ?? false;
    form.elements.shared.closest("label").hidden = !mine;
  }
  form.elements.again.checked = false;
  dialog.querySelector("[data-again]").hidden = !view || !mine || same(view.state, state);
  remove.hidden = !view;
  disarm();
  result.hidden = true;
  explain();
  dialog.showModal();
  if (mine) form.elements.name.select();
}

const chosenState = () => (asked.view && !form.elements.again.checked ? asked.view.state : differing(asked.state));

// A name of one's own that is taken already: saving replaces what it kept.
const taken = () => asked.others.find((other) => other.mine && other.id !== asked.view?.id && other.name.toLowerCase() === form.elements.name.value.trim().toLowerCase());

function explain() {
  dialog.querySelector("[data-effect]").textContent = `Keeps: ${inWords(chosenState(), asked.columns)}`;
  dialog.querySelector("[data-confirm]").textContent = !asked.view && taken() ? "Replace" : "Save";
}

function disarm() {
  remove.textContent = "Delete…";
  remove.dataset.armed = "";
}

function values() {
  const { view } = asked;
  if (view && !view.mine) return { default: form.elements.default.checked };
  return {
    name: form.elements.name.value.trim(),
    default: form.elements.default.checked,
    ...(form.elements.shared ? { shared: form.elements.shared.checked } : {}),
    ...(view && !form.elements.again.checked ? {} : { state: differing(asked.state) }),
  };
}

form?.addEventListener("input", explain);
form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const replaced = asked.view ? null : taken();
  try {
    const kept = await asked.send(asked.view || replaced ? "PUT" : "POST", values(), asked.view ?? replaced);
    dialog.close();
    toast(`${kept.name} is kept.`);
  } catch (error) {
    showProblem(result, error);
  }
});

// Asked twice: others may open their table with it.
remove?.addEventListener("click", async () => {
  if (remove.dataset.armed !== "1") {
    remove.dataset.armed = "1";
    remove.textContent = "Really delete it?";
    return;
  }
  try {
    const { name } = await asked.send("DELETE");
    dialog.close();
    toast(`${name} is deleted.`);
  } catch (error) {
    disarm();
    showProblem(result, error);
  }
});
dialog?.addEventListener("close", () => asked?.closed());
