// The age of what a panel shows. The server says how old a thing was when it answered; we count on from there.
import { seconds } from "./format.js";
import { paint } from "./paint.js";

const clocks = new Map();

/** Something was confirmed: it is `ageS` old now and counts as stale after `staleS`. */
export function confirm(name, ageS = 0, staleS = undefined) {
  const known = clocks.get(name);
  clocks.set(name, { at: ageS === null ? null : performance.now() - ageS * 1000, staleS: staleS ?? known?.staleS ?? 45 });
}

export function ageOf(name) {
  const known = clocks.get(name);
  return known && known.at !== null ? (performance.now() - known.at) / 1000 : null;
}

export function showAges() {
  for (const element of document.querySelectorAll("[data-freshness]")) {
    const age = ageOf(element.dataset.freshness);
    const stale = age === null || age > clocks.get(element.dataset.freshness).staleS;
    const label = element.querySelector(".age");
    const text = age === null ? "no data yet" : seconds(Math.floor(age)).replace(".0", "");
    if (element.ageText === text && element.ageStale === stale) continue;
    element.ageText = text;
    element.ageStale = stale;
    element.classList.toggle("is-stale", stale);
    if (label) label.textContent = text;
  }
}

setInterval(() => paint("ages", showAges), 1000);
