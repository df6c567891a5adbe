(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const library = window.LightweightCharts;
  const byId = (id) => document.getElementById(id);
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  const RUN_COLOURS = 6;
  const runColour = (i) => token("run-" + (i % RUN_COLOURS));
  const BAND_HUES = ["69,196,176", "88,169,255", "245,163,64", "213,131,224"];
  const bandColour = (regime) => (regime < 0 ? "rgba(128,128,128,0.10)" : `rgba(${BAND_HUES[regime % BAND_HUES.length]},0.22)`);
  const restyled = [];

  const moment = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const day = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "2-digit", month: "short", year: "2-digit" });
  const hour = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const when = (seconds) => moment.format(new Date(seconds * 1000));
  const number = (value, places = 2) => new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places }).format(value).replace("-", "−");
  const percent = (fraction, places = 2) => number(fraction * 100, places) + " %";
  const count = (value) => new Intl.NumberFormat("en-US").format(value);
  const decimals = (price) => (price >= 1000 ? 2 : price >= 10 ? 3 : price >= 0.1 ? 4 : 8);
  const compact = (value) => new Intl.NumberFormat("en-US", { maximumSignificantDigits: 6 }).format(value);

  function look() {
    return {
      layout: { background: { color: "transparent" }, textColor: token("muted"), fontFamily: token("font"), fontSize: 11, attributionLogo: false },
      grid: { vertLines: { color: token("line") }, horzLines: { color: token("line") } },
      rightPriceScale: { borderColor: token("line"), minimumWidth: 84 },
      timeScale: { borderColor: token("line"), timeVisible: true, secondsVisible: false, minBarSpacing: 0.02, tickMarkFormatter: (time, kind) => (kind <= 2 ? day : hour).format(new Date(time * 1000)) },
      localization: { timeFormatter: when },
      crosshair: { mode: 0 },
    };
  }

  function makeChart(element) {
    const chart = library.createChart(element, { ...look(), autoSize: true });
    restyled.push(() => chart.applyOptions(look()));
    element.addEventListener("keydown", (event) => {
      const scale = chart.timeScale();
      const range = scale.getVisibleLogicalRange();
      if (!range || event.ctrlKey || event.altKey || event.metaKey) return;
      const width = range.to - range.from;
      const moves = {
        ArrowLeft: () => scale.setVisibleLogicalRange({ from: range.from - width / 10, to: range.to - width / 10 }),
        ArrowRight: () => scale.setVisibleLogicalRange({ from: range.from + width / 10, to: range.to + width / 10 }),
        "+": () => scale.setVisibleLogicalRange({ from: range.from + width / 6, to: range.to - width / 6 }),
        "=": () => scale.setVisibleLogicalRange({ from: range.from + width / 6, to: range.to - width / 6 }),
        "-": () => scale.setVisibleLogicalRange({ from: range.from - width / 4, to: range.to + width / 4 }),
        Home: () => scale.fitContent(),
        End: () => scale.scrollToRealTime(),
      };
      if (!moves[event.key]) return;
      event.preventDefault();
      moves[event.key]();
    });
    return chart;
  }

  // Two charts of the same time share what they show; the flag keeps one move from echoing forever.
  function follow(first, second) {
    let busy = false;
    const link = (from, to) => from.timeScale().subscribeVisibleTimeRangeChange((range) => {
      if (busy || !range) return;
      busy = true;
      to.timeScale().setVisibleRange(range);
      busy = false;
    });
    link(first, second);
    link(second, first);
  }

  function drawEquity() {
    const chart = makeChart(byId("equity-chart"));
    const lower = makeChart(byId("drawdown-chart"));
    const lines = data.runs.map((run, i) => {
      const series = chart.addSeries(library.LineSeries, { lineWidth: 2, priceLineVisible: false, title: data.runs.length > 1 ? run.name : "" });
      const style = () => series.applyOptions({ color: runColour(i), lineStyle: i < RUN_COLOURS ? 0 : 2 });
      style();
      restyled.push(style);
      return series;
    });
    const falls = data.runs.map((run, i) => {
      const series = lower.addSeries(library.AreaSeries, { lineWidth: 1, priceLineVisible: false, lastValueVisible: false, priceFormat: { type: "custom", minMove: 0.0001, formatter: (v) => percent(v, 1) }, invertFilledArea: true });
      const style = () => {
        const colour = data.runs.length > 1 ? runColour(i) : token("down");
        series.applyOptions({ lineColor: colour, topColor: colour + "10", bottomColor: colour + (data.runs.length > 1 ? "10" : "40") });
      };
      style();
      restyled.push(style);
      series.setData(run.drawdown.map(([time, value]) => ({ time, value })));
      return series;
    });
    const buttons = { logarithmic: byId("logarithmic"), relative: byId("relative") };
    // Accounts of different size can only be compared in percent.
    const sizes = data.runs.map((run) => run.equity[0]?.[1] ?? 1);
    const state = { logarithmic: false, relative: Math.max(...sizes) > 1.001 * Math.min(...sizes) };
    const fill = () => {
      const positive = data.runs.every((run) => run.equity.every((point) => point[1] > 0));
      buttons.logarithmic.disabled = !positive || state.relative;
      data.runs.forEach((run, i) => {
        const base = run.equity[0]?.[1] ?? 1;
        lines[i].applyOptions({ priceFormat: { type: "custom", minMove: 0.0001, formatter: state.relative ? (v) => percent(v, 1) : compact } });
        lines[i].setData(run.equity.map(([time, value]) => ({ time, value: state.relative ? value / base - 1 : value })));
      });
      chart.applyOptions({ rightPriceScale: { mode: state.logarithmic && !state.relative ? 1 : 0 } });
      for (const [name, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", String(state[name]));
    };
    for (const [name, button] of Object.entries(buttons)) button.addEventListener("click", () => { state[name] = !state[name]; fill(); });
    fill();
    chart.timeScale().fitContent();
    lower.timeScale().fitContent();
    follow(chart, lower);
    const readout = byId("equity-readout");
    chart.subscribeCrosshairMove((point) => {
      if (point.time === undefined) { readout.textContent = ""; return; }
      const parts = data.runs.map((run, i) => {
        const at = point.seriesData.get(lines[i]);
        return at === undefined ? null : `${data.runs.length > 1 ? run.name + " " : ""}${state.relative ? percent(at.value) : number(at.value)}`;
      });
      readout.textContent = `${when(point.time)} UTC   ${parts.filter(Boolean).join("   ")}`;
    });
    const thinned = data.runs.filter((run) => run.equity.length < run.points);
    byId("equity-note").textContent = thinned.length ? thinned.map((run) => `${run.name}: ${count(run.equity.length)} of ${count(run.points)} points are drawn, every high and low among them.`).join(" ") + " All figures are taken from all points." : "";
    return falls;
  }

  function drawCandles() {
    const choices = data.runs.flatMap((run, r) => run.candles.map((candles, c) => ({ r, c, label: data.runs.length > 1 ? `${run.name}: ${candles.symbol}` : candles.symbol })));
    if (!choices.length) {
      byId("candle-chart").hidden = true;
      byId("candle-note").textContent = "No candles were given.";
      return;
    }
    const chart = makeChart(byId("candle-chart"));
    const series = chart.addSeries(library.CandlestickSeries, { priceLineVisible: false });
    const volume = chart.addSeries(library.HistogramSeries, { priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
    chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.88, bottom: 0 } });
    const markers = library.createSeriesMarkers(series, []);
    let bands = null;
    let shown = null;
    let trades = new Map();
    const style = () => {
      const [up, down] = [token("up"), token("down")];
      series.applyOptions({ upColor: up, wickUpColor: up, borderUpColor: up, downColor: "transparent", wickDownColor: down, borderDownColor: down });
      if (shown) paint(shown, false);
    };
    function paint(candles, fit) {
      shown = candles;
      const [up, down] = [token("up"), token("down")];
      const places = decimals(candles.rows.at(-1)[4]);
      series.applyOptions({ priceFormat: { type: "price", precision: places, minMove: 1 / 10 ** places } });
      series.setData(candles.rows.map(([time, open, high, low, close]) => ({ time, open, high, low, close })));
      volume.setData(candles.rows.map(([time, open, , , close, value]) => ({ time, value, color: (close >= open ? up : down) + "44" })));
      markers.setMarkers(candles.trades.map(([time, buy]) => ({ time, position: buy ? "belowBar" : "aboveBar", shape: buy ? "arrowUp" : "arrowDown", color: buy ? up : down, size: 1 })));
      trades = new Map();
      for (const [time, buy, size, price, fills] of candles.trades) {
        const words = `${buy ? "▲ buy" : "▼ sell"} ${compact(size)} @ ${number(price, places)}${fills > 1 ? ` (${fills} fills)` : ""}`;
        trades.set(time, (trades.get(time) ? trades.get(time) + "   " : "") + words);
      }
      if (bands) series.detachPrimitive(bands);
      bands = candles.bands.length ? new RegimeBands(candles.bands, bandColour) : null;
      if (bands) series.attachPrimitive(bands);
      if (fit) chart.timeScale().setVisibleLogicalRange({ from: Math.max(-2, candles.rows.length - 400), to: candles.rows.length + 4 });
    }
    function choose(choice) {
      const candles = data.runs[choice.r].candles[choice.c];
      paint(candles, true);
      for (const button of byId("candle-tools").children) if (button.dataset.choice) button.setAttribute("aria-pressed", String(button.dataset.choice === `${choice.r}.${choice.c}`));
      byId("candle-note").textContent = (candles.each > 1 ? `Each candle stands for ${candles.each} of ${count(candles.bars)} bars. ` : `${count(candles.bars)} bars. `) + "Arrows are fills: up and below a buy, down and above a sale.";
      const legend = byId("regime-legend");
      legend.replaceChildren(...[...new Set(candles.bands.map((band) => band[2]))].sort((a, b) => a - b).map((regime) => {
        const item = document.createElement("li");
        const patch = document.createElement("i");
        patch.style.background = bandColour(regime);
        item.append(patch, data.regimes[regime] ?? (regime < 0 ? "unknown" : `regime ${regime}`));
        return item;
      }));
    }
    if (choices.length > 1) {
      for (const choice of choices) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = choice.label;
        button.dataset.choice = `${choice.r}.${choice.c}`;
        button.addEventListener("click", () => choose(choice));
        byId("candle-tools").append(button);
      }
    }
    const all = document.createElement("button");
    all.type = "button";
    all.textContent = "Show all";
    all.addEventListener("click", () => chart.timeScale().fitContent());
    byId("candle-tools").append(all);
    const readout = byId("candle-readout");
    chart.subscribeCrosshairMove((point) => {
      const bar = point.time === undefined ? null : point.seriesData.get(series);
      if (!bar) { readout.textContent = ""; return; }
      const band = shown.bands.find(([from, to]) => point.time >= from && point.time < to);
      const regime = band ? `   ${data.regimes[band[2]] ?? "unknown"}` : "";
      readout.textContent = `${when(point.time)} UTC   O ${compact(bar.open)}  H ${compact(bar.high)}  L ${compact(bar.low)}  C ${compact(bar.close)}${regime}   ${trades.get(point.time) ?? ""}`;
    });
    style();
    restyled.push(style);
    choose(choices[0]);
  }

  const SVG = "http://www.w3.org/2000/svg";
  function shape(name, attributes, text) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  function drawHistogram(run) {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    figure.append(caption);
    const found = run.distribution;
    if (!found) {
      caption.textContent = `${run.name}: too few returns that differ.`;
      return figure;
    }
    const [width, height, left, bottom] = [640, 240, 8, 22];
    const { edges, counts, normal, mean } = found;
    const top = Math.max(...counts, ...normal);
    const x = (value) => left + ((value - edges[0]) / (edges.at(-1) - edges[0])) * (width - 2 * left);
    const y = (value) => (height - bottom) * (1 - value / top) + 4;
    const total = counts.reduce((sum, value) => sum + value, 0);
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "histogram", role: "img", "aria-label": `Histogram of ${count(total)} ${found.basis}, mean ${percent(mean, 3)}` });
    counts.forEach((value, i) => {
      if (!value) return;
      const bar = shape("rect", { x: x(edges[i]) + 0.5, y: y(value), width: Math.max(0.5, x(edges[i + 1]) - x(edges[i]) - 1), height: y(0) - y(value), class: (edges[i] + edges[i + 1]) / 2 >= 0 ? "gain" : "loss" });
      bar.append(shape("title", {}, `${percent(edges[i])} to ${percent(edges[i + 1])}: ${count(value)}`));
      svg.append(bar);
    });
    svg.append(shape("polyline", { class: "normal", points: normal.map((value, i) => `${x((edges[i] + edges[i + 1]) / 2).toFixed(1)},${y(value).toFixed(1)}`).join(" ") }));
    svg.append(shape("line", { class: "axis", x1: left, x2: width - left, y1: y(0), y2: y(0) }));
    if (found.var !== null && found.var > edges[0]) {
      svg.append(shape("line", { class: "tail", x1: x(found.var), x2: x(found.var), y1: 4, y2: y(0) }));
      svg.append(shape("text", { x: x(found.var) - 4, y: 14, "text-anchor": "end" }, "VaR 95 %"));
    }
    for (const [value, anchor] of [[edges[0], "start"], [0, "middle"], [edges.at(-1), "end"]]) {
      if (value < edges[0] || value > edges.at(-1)) continue;
      svg.append(shape("text", { x: x(value), y: height - 6, "text-anchor": anchor }, percent(value)));
    }
    caption.textContent = `${run.name}: ${count(total)} ${found.basis}. The line is the normal law of the same mean and spread; the outermost bars hold all that lies beyond.`;
    figure.prepend(svg);
    return figure;
  }

  function enhance(table) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const size = Number(table.dataset.page);
    let page = 0;
    let pager = null;
    const pages = () => Math.ceil(rows.length / size);
    const show = () => {
      if (!size || rows.length <= size) return;
      rows.forEach((row, i) => { row.hidden = i < page * size || i >= (page + 1) * size; });
      pager.words.textContent = `${count(page * size + 1)} to ${count(Math.min(rows.length, (page + 1) * size))} of ${count(rows.length)}`;
      pager.back.disabled = page === 0;
      pager.on.disabled = page >= pages() - 1;
    };
    if (size && rows.length > size) {
      const element = document.createElement("div");
      element.className = "pager";
      const make = (text, step) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = text;
        button.addEventListener("click", () => { page = Math.max(0, Math.min(pages() - 1, page + step)); show(); });
        return button;
      };
      pager = { back: make("Previous", -1), on: make("Next", 1), words: document.createElement("span") };
      pager.words.setAttribute("aria-live", "polite");
      element.append(pager.back, pager.on, pager.words);
      table.parentElement.after(element);
    }
    // Months by year are a calendar, and statistics an order of their own: sorting would only destroy it.
    if (rows.length > 1 && size) {
      [...table.tHead.rows[0].cells].forEach((head, column) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = head.textContent;
        head.replaceChildren(button);
        button.addEventListener("click", () => {
          const descending = head.getAttribute("aria-sort") === "ascending";
          for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
          head.setAttribute("aria-sort", descending ? "descending" : "ascending");
          const key = (row) => row.cells[column].dataset.order ?? row.cells[column].textContent;
          const numeric = rows.every((row) => row.cells[column].dataset.order !== undefined);
          rows.sort((a, b) => (numeric ? key(a) - key(b) : key(a).localeCompare(key(b))) * (descending ? -1 : 1));
          body.append(...rows);
          page = 0;
          show();
        });
      });
    }
    show();
  }

  function toggleTheme() {
    const root = document.documentElement;
    const now = root.dataset.theme ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    restyled.forEach((restyle) => restyle());
  }

  byId("theme").addEventListener("click", toggleTheme);
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() === "t" && !event.ctrlKey && !event.metaKey && !event.altKey) toggleTheme();
  });
  matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => restyled.forEach((restyle) => restyle()));
  drawEquity();
  drawCandles();
  byId("histograms").append(...data.runs.map(drawHistogram));
  document.querySelectorAll("table[data-page]").forEach(enhance);
  document.documentElement.dataset.ready = "true";
})();
