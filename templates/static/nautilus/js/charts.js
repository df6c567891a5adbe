// Price and equity charts on lightweight-charts: colours from the page's tokens, times in the chosen zone.
import { intervalSeconds } from "./bars.js";
import { clock, fullTime } from "./format.js";
import { zone } from "./preferences.js";

const library = window.LightweightCharts;
const nonce = document.getElementById("chart-library")?.nonce;

// The library draws its logo with a <style> element; under our content policy that needs the page's nonce.
if (nonce) {
  const create = document.createElement.bind(document);
  document.createElement = (name, options) => {
    const element = create(name, options);
    if (String(name).toLowerCase() === "style") element.nonce = nonce;
    return element;
  };
}

export function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function look() {
  return {
    layout: { background: { color: "transparent" }, textColor: token("muted"), fontFamily: token("font"), fontSize: 11, attributionLogo: true },
    grid: { vertLines: { color: token("line") }, horzLines: { color: token("line") } },
    rightPriceScale: { borderColor: token("line") },
    timeScale: { borderColor: token("line"), timeVisible: true, secondsVisible: false, tickMarkFormatter: tick },
    localization: { timeFormatter: (time) => fullTime(time * 1000) },
    crosshair: { mode: 0 },
  };
}

function tick(time, kind) {
  const zoneName = zone.isLocal ? undefined : "UTC";
  const shape = kind <= 2 ? { day: "2-digit", month: "short" } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat("en-GB", { timeZone: zoneName, ...shape }).format(new Date(time * 1000));
}

function makeChart(container) {
  const chart = library.createChart(container, { ...look(), autoSize: true, handleScroll: { vertTouchDrag: false } });
  const restyle = () => chart.applyOptions(look());
  document.addEventListener("themechange", restyle);
  document.addEventListener("zonechange", restyle);
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", restyle);
  return chart;
}

const MOST_BARS = 3000;

export class PriceChart {
  constructor(element) {
    this.element = element;
    this.chart = makeChart(element.querySelector(".canvas"));
    this.readout = element.querySelector(".readout");
    this.tip = element.querySelector(".tip");
    this.series = this.chart.addSeries(library.CandlestickSeries, this.#colours());
    this.volume = this.chart.addSeries(library.HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.86, bottom: 0 } });
    this.markers = library.createSeriesMarkers(this.series, []);
    this.bars = [];
    this.fills = [];
    this.lines = new Map();
    this.chart.subscribeCrosshairMove((point) => this.#hover(point));
    document.addEventListener("themechange", () => { this.series.applyOptions(this.#colours()); this.setBars(this.bars, false); this.setFills(this.fills); });
  }

  #colours() {
    const [up, down] = [token("up"), token("down")];
    return { upColor: up, wickUpColor: up, borderUpColor: up, downColor: "transparent", wickDownColor: down, borderDownColor: down, priceLineColor: token("muted") };
  }

  use(symbol, interval) {
    this.symbol = symbol;
    this.interval = interval;
    this.step = intervalSeconds(interval);
    this.setBars([]);
  }

  /** `bars`: ascending [{time, open, high, low, close, volume}], numbers; times are seconds of market time. */
  setBars(bars, fit = true) {
    this.bars = bars.slice(-MOST_BARS);
    const decimals = this.#decimals();
    this.series.applyOptions({ priceFormat: { type: "price", precision: decimals, minMove: 1 / 10 ** decimals } });
    this.series.setData(this.bars);
    this.volume.setData(this.bars.map((bar) => this.#volumeBar(bar)));
    if (fit && this.bars.length) this.chart.timeScale().setVisibleLogicalRange({ from: this.bars.length - 150, to: this.bars.length + 6 });
    this.setFills(this.fills);
  }

  #volumeBar(bar) {
    return { time: bar.time, value: bar.volume ?? 0, color: `${bar.close >= bar.open ? token("up") : token("down")}55` };
  }

  #decimals() {
    const close = this.bars.at(-1)?.close ?? 100;
    return close >= 1000 ? 2 : close >= 10 ? 3 : close >= 0.1 ? 4 : 6;
  }

  update(bar) {
    const last = this.bars.at(-1);
    if (last && bar.time < last.time) return;
    if (last && bar.time === last.time) this.bars[this.bars.length - 1] = bar;
    else this.bars.push(bar);
    if (this.bars.length > MOST_BARS * 1.2) return this.setBars(this.bars, false); // days in an open tab
    this.series.update(bar);
    this.volume.update(this.#volumeBar(bar));
  }

  /** Move the newest candle to a middle price between two candle messages. */
  mid(price, marketAt) {
    const last = this.bars.at(-1);
    if (!last || !Number.isFinite(price)) return;
    const start = marketAt ? Math.floor(marketAt / this.step) * this.step : last.time;
    if (start > last.time + this.step * 3 || start < last.time) return;
    if (start > last.time) this.update({ time: start, open: price, high: price, low: price, close: price, volume: 0 });
    else this.update({ ...last, high: Math.max(last.high, price), low: Math.min(last.low, price), close: price });
  }

  setFills(fills) {
    this.fills = fills;
    const first = this.bars[0]?.time;
    this.marks = new Map();
    if (first === undefined) return this.markers.setMarkers([]);
    const marks = [];
    for (const fill of fills) {
      if (fill.symbol !== this.symbol) continue;
      const time = Math.floor(Date.parse(fill.at) / 1000 / this.step) * this.step;
      if (time < first || time > this.bars.at(-1).time) continue;
      const buy = fill.side === "BUY";
      marks.push({ time, position: buy ? "belowBar" : "aboveBar", shape: buy ? "arrowUp" : "arrowDown", color: token(buy ? "up" : "down"), size: 1.2 });
      const lines = this.marks.get(time) ?? [];
      lines.push(`${buy ? "▲ BUY" : "▼ SELL"} ${fill.quantity} @ ${fill.price}  ${fill.strategy ?? "manual"}  ${clock(fill.at)}`);
      this.marks.set(time, lines);
    }
    marks.sort((a, b) => a.time - b.time);
    this.markers.setMarkers(marks);
  }

  setOrders(orders) {
    const wanted = new Map(orders.filter((order) => order.symbol === this.symbol && order.price).map((order) => [order.id, order]));
    for (const [id, line] of this.lines) {
      if (wanted.has(id)) continue;
      this.series.removePriceLine(line);
      this.lines.delete(id);
    }
    for (const [id, order] of wanted) {
      if (this.lines.has(id)) continue;
      this.lines.set(id, this.series.createPriceLine({
        price: Number(order.price), color: token(order.side === "BUY" ? "up" : "down"), lineWidth: 1, lineStyle: 2,
        axisLabelVisible: true, title: `${order.side} ${order.quantity}`,
      }));
    }
  }

  #hover(point) {
    const bar = point.time === undefined ? null : point.seriesData.get(this.series);
    this.readout.textContent = bar ? `${fullTime(point.time * 1000)}  O ${bar.open}  H ${bar.high}  L ${bar.low}  C ${bar.close}` : "";
    const lines = this.marks?.get(point.time);
    this.tip.hidden = !lines || !point.point;
    if (this.tip.hidden) return;
    this.tip.textContent = lines.slice(0, 8).join("\n") + (lines.length > 8 ? `\n… ${lines.length - 8} more` : "");
    const room = this.element.clientWidth - this.tip.offsetWidth - 8;
    this.tip.style.left = `${Math.max(4, Math.min(room, point.point.x + 14))}px`;
    this.tip.style.top = `${Math.max(24, point.point.y - 12)}px`;
  }
}

const MOST_POINTS = 6000;

export class EquityChart {
  constructor(element) {
    this.chart = makeChart(element.querySelector(".canvas"));
    this.series = this.chart.addSeries(library.AreaSeries, this.#colours());
    this.points = [];
    document.addEventListener("themechange", () => this.series.applyOptions(this.#colours()));
  }

  #colours() {
    const colour = token("accent");
    return { lineColor: colour, topColor: `${colour}44`, bottomColor: `${colour}05`, lineWidth: 2, priceFormat: { type: "price", precision: 2, minMove: 0.01 }, priceLineVisible: false };
  }

  set(points) {
    const byTime = new Map();
    for (const point of points) byTime.set(Math.floor(Date.parse(point.at) / 1000), Number(point.equity));
    this.points = [...byTime].sort((a, b) => a[0] - b[0]).map(([time, value]) => ({ time, value }));
    this.series.setData(this.points);
    this.chart.timeScale().fitContent();
  }

  add(at, equity) {
    const point = { time: Math.floor(Date.parse(at) / 1000), value: Number(equity) };
    const last = this.points.at(-1);
    if (!Number.isFinite(point.value) || (last && point.time < last.time)) return;
    if (last && last.time === point.time) this.points.pop();
    this.points.push(point);
    const horizon = point.time - 86_400;
    if (this.points.length > MOST_POINTS) {
      // Thin the older half rather than forget it: the line keeps its day, the tab its memory.
      const half = MOST_POINTS / 2;
      this.points = this.points.filter((p, i) => p.time >= horizon && (i >= half || i % 2 === 0));
      this.series.setData(this.points);
    } else this.series.update(point);
  }
}
