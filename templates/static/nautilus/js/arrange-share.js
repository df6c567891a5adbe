// Publishing the arrangement on the screen as what people of a role see who have none of their own; and withdrawing it.
import { call } from "./api.js";
import { showProblem } from "./toast.js";

export function bindShare({ layout, read }) {
  const dialog = document.getElementById("arrange-dialog");
  if (!dialog) return;
  const form = dialog.querySelector("form");
  const result = dialog.querySelector("[data-result]");
  const published = dialog.querySelector("[data-published]");
  const withdraw = dialog.querySelector("[data-withdraw]");
  form.role.replaceChildren(...layout.roles.map(({ role, name }) => new Option(name, role)));
  const chosen = () => layout.roles.find(({ role }) => role === form.role.value);

  const show = () => {
    const { name, published: isPublished } = chosen();
    published.textContent = isPublished ? `An arrangement is published for the role ${name}; publishing replaces it.` : `Nothing is published for the role ${name}.`;
    withdraw.hidden = !isPublished;
  };
  form.role.addEventListener("change", show);

  document.querySelector("[data-arrange-share]").addEventListener("click", () => {
    result.hidden = true;
    form.reason.value = "";
    show();
    dialog.showModal();
    form.reason.focus();
  });

  const send = async (button, method, body, done) => {
    const row = chosen();
    button.disabled = true;
    try {
      await call(method, `${layout.url}/roles/${row.role}`, body);
      row.published = method === "PUT";
      result.hidden = false;
      result.dataset.tone = "good";
      result.textContent = done(row.name);
      show();
    } catch (error) {
      showProblem(result, error);
    } finally {
      button.disabled = false;
    }
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form.querySelector("[data-confirm]"), "PUT", { panels: read(), reason: form.reason.value }, (name) => `People of the role ${name} see this arrangement when they open the page next.`);
  });
  withdraw.addEventListener("click", () => {
    send(withdraw, "DELETE", undefined, (name) => `Withdrawn: people of the role ${name} see the page as it comes.`);
  });
}
