// What a page shows is in its address, so that reload, back and a link sent to somebody show the same.
// A name with a dot belongs to a table (`orders.sort`), one without to the page (`symbol`).
const leftOut = [];
const MEMBERS = new Set(["find", "sort", "hide", "view"]);
let told = false;

export const parameters = () => new URLSearchParams(location.search);

/** The address's parameters with some changed; empty ones go, all others stay. */
export function changed(changes) {
  const chosen = parameters();
  for (const [name, value] of Object.entries(changes)) {
    if (value) chosen.set(name, value);
    else chosen.delete(name);
  }
  // The page's before the tables', so that the same is always spelled the same; what needs no escape stays readable.
  const ordered = new URLSearchParams([...chosen].sort(([a], [b]) => a.includes(".") - b.includes(".") || (a < b ? -1 : Number(a > b))));
  return ordered.size ? `?${String(ordered).replace(/%(?:2C|2F|3A|40)/g, decodeURIComponent)}` : "";
}

/** Write parameters into the address, without a new entry in the history. */
export function write(changes) {
  const query = changed(changes);
  if (query !== location.search) history.replaceState(null, "", location.pathname + query + location.hash);
}

/** Take parameters out of the address that the server has refused, and has named to who looks at the page. */
export const forget = (names) => write(Object.fromEntries(names.map((name) => [name, ""])));

/** The part of the address that the page's state depends on. */
export function pageQuery() {
  const chosen = parameters();
  for (const name of [...chosen.keys()]) if (name.includes(".")) chosen.delete(name);
  return chosen.size ? `?${chosen}` : "";
}

/** A parameter that means nothing here leaves the address and is named to who looks at the page. */
export function leaveOut(name) {
  nameLeftOut(name, parameters().get(name));
  write({ [name]: "" });
}

/** The same of a part of one, which whoever reads it writes anew. */
export function nameLeftOut(name, value) {
  const text = `${name}=${value}`;
  if (!leftOut.includes(text)) leftOut.push(text);
  if (told) tell();
}

/** Look for what no part of the page knows, and say what was left out. `config` is the page's. */
export function sift(config) {
  const known = new Set([...config.filters, ...config.parameters]);
  const unknown = [...parameters().keys()].filter((name) => {
    const [table, member, ...more] = name.split(".");
    return !known.has(name) && !(table in config.tables && MEMBERS.has(member) && !more.length);
  });
  for (const name of unknown) leaveOut(name);
  told = true;
  if (leftOut.length) tell();
}

function tell() {
  let note = document.getElementById("left-out");
  if (!note) {
    note = document.createElement("p");
    note.id = "left-out";
    note.className = "message";
    note.dataset.tone = "warn";
    note.setAttribute("role", "status");
    document.getElementById("main").prepend(note);
  }
  const short = leftOut.slice(0, 5).map((text) => (text.length > 60 ? `${text.slice(0, 59)}…` : text));
  note.textContent = `The address asks for what this page does not have: ${short.join(", ")}${leftOut.length > 5 ? ` and ${leftOut.length - 5} more` : ""}. It was left out.`;
}
