// Numbers and times as people read them. Money arrives as decimal text and is rounded as text, never through a float.
import { zone } from "./preferences.js";

const DECIMAL = /^([+-]?)(\d+)(?:\.(\d+))?$/;
export const NONE = "–";

/** Decimal text rounded half away from zero to `places`; null when it is not plain decimal text. */
export function roundText(text, places) {
  const match = DECIMAL.exec(String(text));
  if (!match) return null;
  const [, sign, whole, fraction = ""] = match;
  if (fraction.length <= places) return `${sign === "-" ? "-" : ""}${whole}${places ? "." + fraction.padEnd(places, "0") : ""}`;
  const scaled = BigInt(whole + fraction.slice(0, places)) + (fraction[places] >= "5" ? 1n : 0n);
  const digits = scaled.toString().padStart(places + 1, "0");
  const cut = digits.length - places;
  const negative = sign === "-" && scaled !== 0n ? "-" : "";
  return negative + digits.slice(0, cut) + (places ? "." + digits.slice(cut) : "");
}

export function group(text) {
  const [whole, fraction] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

export function plain(text) {
  const match = DECIMAL.exec(String(text));
  if (!match) return text === null || text === undefined || text === "" ? NONE : String(text);
  const trimmed = (match[3] ?? "").replace(/0+$/, "");
  return group((match[1] === "-" ? "-" : "") + match[2] + (trimmed ? "." + trimmed : ""));
}

export function money(text, places = 2) {
  const rounded = roundText(text, places);
  return rounded === null ? NONE : group(rounded).replace("-", "−");
}

/** At least six significant digits, and cents at least: a coin of a tenth of a cent has a price, too. */
export function price(text) {
  const match = DECIMAL.exec(String(text));
  if (!match) return NONE;
  const whole = match[2].replace(/^0+/, "");
  const first = (match[3] ?? "").search(/[1-9]/);
  const exponent = whole ? whole.length - 1 : first < 0 ? 3 : -first - 1;
  return money(text, Math.max(2, 5 - exponent));
}

export function signOf(text) {
  const value = Number(text);
  return Number.isFinite(value) ? Math.sign(value) : 0;
}

export function signed(text, places = 2) {
  const rounded = roundText(text, places);
  if (rounded === null) return NONE;
  const sign = signOf(rounded);
  if (sign === 0) return group(rounded.replace("-", ""));
  return (sign > 0 ? "▲ +" : "▼ −") + group(rounded.replace("-", ""));
}

export function percent(fraction, places = 2) {
  const value = Number(fraction);
  return fraction === null || fraction === undefined || !Number.isFinite(value) ? NONE : `${(value * 100).toFixed(places)} %`;
}

export function seconds(value) {
  if (value === null || value === undefined || !Number.isFinite(Number(value))) return NONE;
  const s = Math.max(0, Number(value));
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

function options(extra) {
  return { hourCycle: "h23", timeZone: zone.isLocal ? undefined : "UTC", ...extra };
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const DAY = { month: "2-digit", day: "2-digit" };
const formats = new Map();
document.addEventListener("zonechange", () => formats.clear());

function formatter(name, extra) {
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat("en-GB", options(extra)));
  return formats.get(name);
}

export function clock(value) {
  if (!value) return NONE;
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return NONE;
  const time = formatter("clock", CLOCK).format(date);
  const day = formatter("day", DAY);
  return day.format(date) === day.format(new Date()) ? time : `${day.format(date)} ${time}`;
}

export function fullTime(value) {
  const date = new Date(value);
  if (!value || Number.isNaN(date.getTime())) return "";
  const full = formatter("full", { year: "numeric", ...DAY, ...CLOCK });
  return `${full.format(date)} ${zone.isLocal ? "local" : "UTC"}`;
}

export const STATUS_TONE = {
  FILLED: "good", NEW: "accent", PARTIALLY_FILLED: "accent", RESERVED: "", SENDING: "", UNKNOWN: "warn",
  DENIED: "warn", REJECTED: "bad", EXPIRED: "", CANCELED: "", ABSENT: "warn", RELEASED: "",
  pending: "warn", applied: "good", approved: "good", rejected: "bad", expired: "", void: "",
  closed: "good", open: "bad", half_open: "warn", clean: "good", repaired: "warn", divergent: "bad", failed: "bad",
  equal: "good", differs: "bad", "ours only": "warn", "exchange only": "warn", "not read": "", "as balance": "",
  seen: "warn", confirmed: "bad", halting: "bad", doubted: "warn",
  in_force: "bad", to_come: "warn", over: "", ended: "",
  queued: "", running: "accent", done: "good", canceled: "",
};
