// What every page has: the live connection and its badge, Halt, palette, theme and zone, arranging, the state and its renewal.
import { forget, pageQuery, sift } from "./address.js";
import { call } from "./api.js";
import { bindArrange } from "./arrange.js";
import { confirm } from "./freshness.js";
import { bindHalt } from "./halt.js";
import { LiveFeed } from "./live.js";
import { paint } from "./paint.js";
import { bindPalette } from "./palette.js";
import { toggleTheme, zone } from "./preferences.js";
import { complain } from "./toast.js";

const REFETCH_S = 30;
const REMEMBERED_EVENTS = 500;

function readJson(id) {
  const element = document.getElementById(id);
  return element ? JSON.parse(element.textContent) : null;
}

export const config = readJson("page-config");
forget(config.left_out);
export const can = (permission) => config.can.includes(permission);

const stateListeners = [];
const eventListeners = [];
const recent = [];
let refetching = null;
let soon = null;

/** Called with the whole page state now (as the server rendered it) and after every renewal. */
export function onState(listener) {
  stateListeners.push(listener);
  listener(initial);
}

export function onEvent(listener) {
  eventListeners.push(listener);
}

const initial = readJson("page-state");

export const feed = new LiveFeed({ topics: config.topics, lastId: initial?.last_event_id ?? null });

/**
 * Renew the whole state; events newer than the answer are applied again on top of it. Gives the error where there was
 * one; it is said already, but for filters that were refused: the form they stand in says that.
 */
export async function refetch() {
  if (!config.state_url) return null;
  const query = pageQuery();
  if (refetching?.query === query) return refetching.done;
  const mine = { query };
  refetching = mine;
  mine.done = (async () => {
    try {
      const { body } = await call("GET", config.state_url + query, undefined, { timeoutS: 15 });
      if (refetching !== mine) return null; // the address asks for something else by now, and that is on its way
      for (const listener of stateListeners) listener(body, true);
      confirmShell(body);
      for (const event of recent) if (event.id > body.last_event_id) for (const listener of eventListeners) listener(event);
    } catch (error) {
      if (error.status === 401 || error.status === 403) location.assign(`/accounts/login/?next=${encodeURIComponent(location.pathname + location.search)}`);
      else if (error.status !== 0 && error.code !== "INVALID_FILTER") complain(error);
      return error;
    } finally {
      if (refetching === mine) refetching = null;
    }
    return null;
  })();
  return mine.done;
}

/** Renew shortly, once for a burst of events. */
export function refetchSoon(delayMs = 1500) {
  if (soon !== null || !config.state_url) return;
  soon = setTimeout(() => {
    soon = null;
    if (document.visibilityState === "visible") refetch();
  }, delayMs);
}

function confirmShell(state) {
  const badge = document.querySelector("[data-approvals-count]");
  if (badge && state.approvals_pending !== undefined) {
    badge.textContent = String(state.approvals_pending);
    badge.hidden = state.approvals_pending === 0;
  }
  if (state.trading) showTrading(state.trading);
}

/** What may not be resumed yet, where it is asked for. */
function showHolds(holds) {
  const held = document.querySelector("[data-held]");
  if (!held || holds === undefined) return;
  held.hidden = holds.length === 0;
  held.replaceChildren(...holds.map((hold) => {
    const link = document.createElement("a");
    link.href = hold.link;
    link.textContent = hold.why;
    const line = document.createElement("li");
    line.append(link);
    return line;
  }));
}

export function showTrading(trading) {
  showHolds(trading.holds);
  for (const strip of document.querySelectorAll("[data-trading]")) {
    strip.dataset.level = String(trading.level);
    strip.querySelector("[data-trading-name]").textContent = trading.title;
    strip.querySelector(".lamp").dataset.tone = trading.level === 0 ? "good" : trading.level < 3 ? "warn" : "bad";
    strip.querySelector("[data-trading-meaning]").textContent = trading.meaning;
    const resume = strip.querySelector("[data-open-resume]");
    if (resume) resume.hidden = trading.scopes.every((scope) => scope.level === 0);
  }
}

function bindConnection() {
  const badge = document.getElementById("connection");
  const show = () => paint("connection", () => {
    const silence = feed.silence === null ? 0 : Math.floor(feed.silence);
    const [tone, text] = {
      connecting: ["warn", "connecting"],
      live: ["good", "live"],
      stale: ["warn", `stale ${silence} s`],
      reconnecting: ["bad", feed.silence === null ? "reconnecting" : `reconnecting · ${silence} s`],
      "signed-out": ["bad", "signed out"],
    }[feed.status];
    const lamp = badge.firstElementChild;
    badge.dataset.status = feed.status;
    lamp.dataset.tone = tone;
    if (lamp.textContent !== text) lamp.textContent = text;
  });
  feed.addEventListener("status", show);
  feed.addEventListener("tick", show);
  feed.addEventListener("subscribed", (event) => event.detail.again && refetch());
  feed.addEventListener("event", (message) => {
    const event = message.detail;
    if (event.id) {
      recent.push(event);
      if (recent.length > REMEMBERED_EVENTS) recent.splice(0, recent.length - REMEMBERED_EVENTS);
    }
    if (event.topic === "approvals" || event.topic === "trading_state") refetchSoon(300);
    for (const listener of eventListeners) listener(event);
  });
}

function bindButtons() {
  const zoneButton = document.getElementById("zone");
  const name = () => (zoneButton.textContent = zone.isLocal ? "Local" : "UTC");
  name();
  zoneButton.addEventListener("click", () => { zone.toggle(); name(); });
  document.getElementById("theme").addEventListener("click", toggleTheme);
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input, select, textarea, [contenteditable]") || event.ctrlKey || event.metaKey || event.altKey) return;
    const number = Number(event.key);
    const links = document.querySelectorAll(".nav a");
    if (event.key === "g") document.querySelector(".nav summary")?.focus();
    else if (number >= 1 && number <= links.length && event.target === document.body) links[number - 1].click();
  });
}

// The groups of pages are <details> of one name, so that opening one closes the others; the rest is ours.
function bindNavigation() {
  const opened = () => document.querySelector(".nav details[open]");
  // Whoever may not halt closes dialogs, too.
  document.addEventListener("click", (event) => event.target.closest("dialog [data-close]")?.closest("dialog").close());
  document.addEventListener("click", (event) => {
    const group = opened();
    if (group && !group.contains(event.target)) group.open = false;
  });
  document.querySelector(".nav").addEventListener("focusout", (event) => {
    const group = opened();
    if (group && event.relatedTarget && !group.contains(event.relatedTarget)) group.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const group = opened();
    if (event.key !== "Escape" || !group) return;
    group.open = false;
    group.querySelector("summary").focus();
  });
}

export function start() {
  sift(config);
  bindConnection();
  bindNavigation();
  bindButtons();
  bindHalt({ config, feed, refetch });
  bindArrange({ config });
  bindPalette({ config });
  if (initial) confirmShell(initial);
  feed.start();
  setInterval(() => document.visibilityState === "visible" && refetch(), REFETCH_S * 1000);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refetch());
  confirm("page", 0, REFETCH_S + 15);
  document.documentElement.dataset.ready = "true";
}
