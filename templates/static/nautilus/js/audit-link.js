// A link to what the audit trail says about one thing, for those who may read it.
import { can } from "./shell.js";

export function auditLink(target) {
  if (!can("audit.read")) return null;
  const link = document.createElement("a");
  link.className = "button button-quiet button-small";
  link.href = `/audit/?${new URLSearchParams({ target })}`;
  link.textContent = "Audit";
  link.setAttribute("aria-label", `Audit entries of ${target}`);
  return link;
}
