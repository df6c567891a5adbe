// What a table shows besides its rows: the search, the order, the hidden columns, and the filters of its page where it
// keeps them. In addresses: `orders.find=btc`, `orders.sort=-price` (descending), `orders.hide=fee.account`.
import { leaveOut, nameLeftOut, parameters } from "./address.js";

const LONGEST = 100;
/** In an address `orders.view=none`: the table as it comes, although there is a view it would open with. */
export const NONE = "none";

const keysOf = (columns) => columns.filter((column) => column.kind !== "action").map((column) => column.key);

/** Only what such a table has, and a list of the rest: columns come and go with versions, addresses are typed. */
export function sound(state, columns) {
  const keys = new Set(keysOf(columns));
  const { find = "", sort = "", hide = [], filters = {} } = state;
  const hidden = keysOf(columns).filter((key) => hide.includes(key));
  const refused = [
    ...(find.length > LONGEST ? [["find", find]] : []),
    ...(sort && !keys.has(sort.replace(/^-/, "")) ? [["sort", sort]] : []),
    ...hide.filter((key) => !keys.has(key)).map((key) => ["hide", key]),
    ...(hidden.length && hidden.length >= keys.size ? [["hide", hide.join(".")]] : []), // one column stays
  ];
  const bad = new Set(refused.map(([member]) => member));
  return {
    state: { find: bad.has("find") ? "" : find, sort: bad.has("sort") ? "" : sort, hide: hidden.length < keys.size ? hidden : [], filters },
    refused,
  };
}

/** What the address says of a table; null where it says nothing. */
export function fromAddress(name, columns) {
  const asked = parameters();
  const texts = Object.fromEntries(["find", "sort", "hide", "view"].map((member) => [member, asked.get(`${name}.${member}`)]));
  if (Object.values(texts).every((text) => text === null)) return null;
  if (texts.view !== null && texts.view !== NONE) leaveOut(`${name}.view`);
  const { state, refused } = sound({ find: texts.find ?? "", sort: texts.sort ?? "", hide: texts.hide ? texts.hide.split(".") : [] }, columns);
  for (const [member, value] of refused) nameLeftOut(`${name}.${member}`, value);
  return state;
}

/** The parameters that say it. */
export function toAddress(name, { find, sort, hide }) {
  return { [`${name}.find`]: find, [`${name}.sort`]: sort, [`${name}.hide`]: hide.join(".") };
}

/** Only what differs from the table as it comes, in an order of its own: equal states are equal texts. */
export function differing({ find = "", sort = "", hide = [], filters = {} }) {
  const chosen = Object.fromEntries(Object.entries(filters).filter(([, value]) => value).sort());
  return {
    ...(find ? { find } : {}),
    ...(sort ? { sort } : {}),
    ...(hide.length ? { hide: [...hide].sort() } : {}),
    ...(Object.keys(chosen).length ? { filters: chosen } : {}),
  };
}

export const same = (a, b) => JSON.stringify(differing(a)) === JSON.stringify(differing(b));

/** For people: what a view keeps. */
export function inWords(state, columns) {
  const { find, sort, hide, filters } = differing(state);
  const titled = (key) => columns.find((column) => column.key === key)?.title || key;
  const parts = [
    find && `rows with “${find}”`,
    sort && `by ${titled(sort.replace(/^-/, ""))}, ${sort.startsWith("-") ? "descending" : "ascending"}`,
    hide && `without ${hide.map(titled).join(", ")}`,
    filters && `where ${Object.entries(filters).map(([name, value]) => `${name.replaceAll("_", " ")} is ${value}`).join(" and ")}`,
  ].filter(Boolean);
  return parts.length ? `${parts.join("; ")}.` : "the table as it comes.";
}
