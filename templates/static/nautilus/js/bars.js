// Bars of the chart from the API, as numbers: a chart draws, it does not account.
import { call } from "./api.js";

const MOST = 1500; // as many as the API gives at once

function toBar(row) {
  const at = row.time ?? row.open_time;
  const time = typeof at === "number" ? (at > 1e11 ? at / 1000 : at) : Date.parse(at) / 1000;
  return { time: Math.floor(time), open: Number(row.open), high: Number(row.high), low: Number(row.low), close: Number(row.close), volume: Number(row.volume ?? 0) };
}

export function parseBars(rows) {
  const byTime = new Map(rows.map(toBar).filter((bar) => Number.isFinite(bar.time) && Number.isFinite(bar.close)).map((bar) => [bar.time, bar]));
  return [...byTime.values()].sort((a, b) => a.time - b.time);
}

export async function fetchBars(symbol, interval, limit = 500) {
  const bars = await fetchStored(symbol, interval, limit);
  // The platform may keep one-minute bars only; wider ones are then put together from those it has.
  return bars.length || interval === "1m" ? bars : widen(await fetchStored(symbol, "1m", MOST), intervalSeconds(interval));
}

async function fetchStored(symbol, interval, limit) {
  const { body } = await call("GET", `/api/v1/bars?symbol=${encodeURIComponent(symbol)}&interval=${interval}&limit=${limit}`);
  return parseBars(body.results);
}

function widen(bars, step) {
  const wide = new Map();
  for (const bar of bars) {
    const time = Math.floor(bar.time / step) * step;
    const known = wide.get(time);
    wide.set(time, known
      ? { ...known, high: Math.max(known.high, bar.high), low: Math.min(known.low, bar.low), close: bar.close, volume: known.volume + bar.volume }
      : { ...bar, time });
  }
  return [...wide.values()];
}

const SECONDS = { m: 60, h: 3600, d: 86400 };
export const intervalSeconds = (interval) => Number(interval.slice(0, -1)) * SECONDS[interval.at(-1)];

/** Merge finer bars into the interval shown: the stream may carry one-minute candles only. */
export function mergeInto(last, bar, step) {
  const start = Math.floor(bar.time / step) * step;
  if (!last || start > last.time) return { ...bar, time: start };
  return { ...last, high: Math.max(last.high, bar.high), low: Math.min(last.low, bar.low), close: bar.close };
}
