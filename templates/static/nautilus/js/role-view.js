// "View as": the pages and actions a role would have. A look at the table in force; nobody becomes somebody else.
import { leaveOut, parameters, write } from "./address.js";
import { call, Problem } from "./api.js";
import { config } from "./shell.js";
import { LiveTable } from "./table.js";
import { toast } from "./toast.js";

/** Bind the menu; the role shown first is one's own. */
export function showRoles(menu, pages) {
  const table = new LiveTable("views", config.tables.views, { limit: 1000 });
  async function show() {
    try {
      const { body } = await call("GET", `/api/v1/roles/${menu.value}`);
      pages.textContent = `Pages: ${body.pages.map((page) => page.title).join(", ")}${body.admin ? ", and the admin" : ""}.`;
      table.set(body.actions.map((row) => ({ ...row, by: row.fresh ? "a person, freshly logged in" : "a person or a token" })));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      toast(error.message, "bad");
    }
  }
  const own = menu.value;
  const asked = parameters().get("role");
  if ([...menu.options].some((option) => option.value === asked)) menu.value = asked;
  else if (asked !== null) leaveOut("role");
  menu.addEventListener("change", () => {
    write({ role: menu.value === own ? "" : menu.value });
    show();
  });
  show();
}
