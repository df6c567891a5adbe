// What a model looks like: its states, how they follow one another, how long they last, and where it comes from.
import { facts, node } from "./explain-parts.js";
import { clock, fullTime } from "./format.js";
import { drawLineage } from "./model-lineage.js";

const number = (value, digits = 4) => (value === null || value === undefined ? "–" : Number(value).toPrecision(digits).replace(/\.?0+(e|$)/, "$1"));

function matrix(labels, rows, caption) {
  const table = node("table", "", "heat");
  table.append(node("caption", caption));
  const head = node("tr");
  head.append(node("th", "from \\ to"), ...labels.map((label) => node("th", label)));
  const top = node("thead");
  top.append(head);
  const body = node("tbody");
  rows.forEach((row, index) => {
    const line = node("tr");
    line.append(node("th", labels[index]));
    for (const p of row) {
      const cell = node("td", `${(p * 100).toFixed(1)} %`, "number");
      cell.dataset.heat = String(Math.min(9, Math.floor(p * 10)));
      line.append(cell);
    }
    body.append(line);
  });
  table.append(top, body);
  return table;
}

function states(portrait) {
  const table = node("table");
  const head = node("tr");
  head.append(node("th", "State"), node("th", "Share of time"), node("th", "Lasts, bars"), ...(portrait.means ? portrait.features.map((name) => node("th", `${name}: mean ± sd`)) : []));
  const top = node("thead");
  top.append(head);
  const body = node("tbody");
  portrait.labels.forEach((label, k) => {
    const line = node("tr");
    line.append(node("th", label), node("td", `${(portrait.stationary[k] * 100).toFixed(1)} %`, "number"), node("td", number(portrait.durations[k], 3), "number"));
    if (portrait.means) portrait.features.forEach((_, d) => line.append(node("td", `${number(portrait.means[k][d], 3)} ± ${number(portrait.deviations[k][d], 3)}`, "number")));
    body.append(line);
  });
  table.append(top, body);
  const scroll = node("div", "", "scroll");
  scroll.append(table);
  return scroll;
}

function verdicts(list) {
  const part = node("div");
  if (!list.length) part.append(node("p", "Never judged: it may not decide, trade or be put in force without an override."));
  for (const verdict of list) {
    const beside = verdict.champion === null ? "holding nothing" : `version ${verdict.champion}`;
    const word = verdict.state === "done" ? (verdict.passed ? "passed" : "did not pass") : verdict.state;
    const table = node("table");
    table.append(node("caption", `${fullTime(verdict.created_at)}, beside ${beside}: ${word}${verdict.error ? ` (${verdict.error})` : ""}`));
    const head = node("tr");
    head.append(...["", "Criterion", "Measured", "Limit", "What it is"].map((title) => node("th", title)));
    const top = node("thead");
    top.append(head);
    const body = node("tbody");
    for (const one of verdict.criteria) {
      const line = node("tr");
      const sign = one.at_least ? "≥" : "≤";
      line.append(node("td", one.passed ? "pass" : "FAIL", one.passed ? "good" : "bad"), node("td", one.name.replaceAll("_", " ")), node("td", one.measured === null ? "not measurable" : number(one.measured, 6), "number"), node("td", `${sign} ${number(one.limit, 6)}`, "number"), node("td", one.says));
      body.append(line);
    }
    table.append(top, body);
    const scroll = node("div", "", "scroll");
    scroll.append(table);
    part.append(scroll);
  }
  return part;
}

const DAYS_SHOWN = 14; // the API has sixty

function driftPart(reports) {
  const table = node("table");
  const head = node("tr");
  head.append(...["Day", "Verdict", "Bars", "Alarm in", "Stability index (alarm above 0.25)", "Time in each state, trained → now", "Index of it / limit", "Log score, now / trained, nats", "CUSUM peak / limit"].map((title) => node("th", title)));
  const top = node("thead");
  top.append(head);
  const body = node("tbody");
  const tones = { stable: "good", watch: "warn", alarm: "bad" };
  for (const report of reports.slice(0, DAYS_SHOWN)) {
    const line = node("tr");
    const psi = Object.entries(report.psi).map(([name, value]) => `${name} ${value.toFixed(3)}`).join(", ");
    const share = (value) => `${(value * 100).toFixed(0)} %`;
    const occupancy = Object.entries(report.occupancy).map(([name, [before, after]]) => `${name} ${share(before)} → ${share(after)}`).join(", ");
    line.append(node("td", report.day), node("td", report.verdict, tones[report.verdict]), node("td", String(report.bars), "number"), node("td", report.alarmed.join(", ") || "–"), node("td", psi || "too few bars yet"), node("td", occupancy || "–"), node("td", report.occupancy_index === null ? "–" : `${number(report.occupancy_index, 3)} / ${number(report.occupancy_limit, 3)}`, "number"), node("td", `${number(report.score_mean)} / ${number(report.score_reference)}`, "number"), node("td", `${number(report.cusum_peak, 3)} / ${number(report.threshold, 3)}`, "number"));
    body.append(line);
  }
  table.append(top, body);
  const scroll = node("div", "", "scroll");
  scroll.append(table);
  return scroll;
}

function truthPart(reports) {
  const part = node("div");
  const [newest] = reports;
  const share = (value) => `${(value * 100).toFixed(1)} %`;
  part.append(
    facts([
      ["Named rightly", `${share(newest.accuracy)} of ${newest.rows} bars since training`],
      ["Always naming the commonest state", share(newest.always)],
      ["Mean probability of the right state", share(newest.probability)],
      ["Bars", `${fullTime(newest.from_at)} to ${fullTime(newest.to_at)}`],
      ["Measured", fullTime(newest.measured_at)],
    ]),
  );
  const table = node("table");
  table.append(node("caption", "Rows: what it truly was. Columns: how many of these bars each state was named in"));
  const labels = Object.keys(Object.values(newest.confusion)[0] ?? {});
  const head = node("tr");
  head.append(...["True regime", "goes by", ...labels, "right"].map((title) => node("th", title)));
  const top = node("thead");
  top.append(head);
  const body = node("tbody");
  for (const [regime, counts] of Object.entries(newest.confusion)) {
    const line = node("tr");
    line.append(node("th", regime.replaceAll("_", " ")), node("td", newest.matched[regime]), ...labels.map((label) => node("td", String(counts[label]), "number")), node("td", share(newest.recall[regime]), "number"));
    body.append(line);
  }
  table.append(top, body);
  const scroll = node("div", "", "scroll");
  scroll.append(table);
  part.append(scroll);
  if (reports.length > 1) part.append(node("p", `Before: ${reports.slice(1, 8).map((report) => `${report.day} ${share(report.accuracy)}`).join(", ")}.`));
  return part;
}

/** `study`: what `/models/studies/{id}` answers. */
export function drawStudy(body, study) {
  const table = node("table");
  const head = node("tr");
  head.append(...["Model", "States", "Seed", "State", "Version", "Log likelihood", "BIC", ""].map((title) => node("th", title)));
  const top = node("thead");
  top.append(head);
  const rows = node("tbody");
  for (const one of study.results) {
    const line = node("tr");
    line.append(node("td", one.model), node("td", one.states === null ? "auto" : String(one.states), "number"), node("td", String(one.seed), "number"), node("td", one.state), node("td", one.version === null ? "–" : String(one.version), "number"), node("td", number(one.log_likelihood, 8), "number"), node("td", number(one.bic, 8), "number"), node("td", one.error));
    rows.append(line);
  }
  table.append(top, rows);
  const scroll = node("div", "", "scroll");
  scroll.append(table);
  body.replaceChildren(
    facts([
      ["State", study.state],
      ["Runs over", `${study.ended} of ${study.runs}`],
      ["Asked", `${fullTime(study.created_at)}${study.requested_by ? ` by ${study.requested_by}` : ""}`],
      ["Over", study.finished_at ? fullTime(study.finished_at) : ""],
    ]),
    node("h2", "Runs, of each model the smallest BIC first"),
    scroll,
    node("p", "BIC compares runs on the same bars and features only. Each run that ended well made a candidate, or is the version it already was."),
  );
}

function shadowPart(shadow) {
  const percent = (value) => (value === null ? "–" : `${(value * 100).toFixed(2)} %`);
  const part = node("div");
  part.append(
    facts([
      ["Decisions without orders", String(shadow.decisions)],
      ["Agreed with the champion", percent(shadow.agreement)],
      ["On paper it made", percent(shadow.return)],
      ["The champion's decisions made", percent(shadow.champion_return)],
      ...shadow.refused.map((one) => [one.instance, `refused: ${one.error}`]),
    ]),
  );
  return part;
}

const words = (name) => (name === "bic" ? "BIC" : name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " "));

/** `told`: what `/models/compare` answers. */
export function drawComparison(told) {
  const part = node("div");
  const [one, other] = told.versions;
  const table = node("table");
  const head = node("tr");
  head.append(...["", `version ${one.version}`, `version ${other.version}`].map((title) => node("th", title)));
  const top = node("thead");
  top.append(head);
  const body = node("tbody");
  const row = (name, pair) => {
    const line = node("tr");
    const text = (value) => (typeof value === "number" ? number(value, 7) : value === null || value === undefined ? "–" : String(value));
    line.append(node("td", name), ...pair.map((value) => node("td", text(value), "number")));
    body.append(line);
  };
  row("Stage", [one.stage, other.stage]);
  row("States", [one.states, other.states]);
  row("Trained to", told.versions.map((version) => fullTime(version.dataset.end_at)));
  for (const [name, pair] of Object.entries(told.figures)) row(words(name), pair);
  for (const [name, pair] of Object.entries(told.recipe)) row(`asked: ${words(name)}`, pair);
  for (const state of told.states ?? []) row(`${state.state} lasts, bars (${state.same ? "the same regime" : "another regime"}, ${number(state.nats, 3)} nats)`, state.lasts);
  table.append(top, body);
  const scroll = node("div", "", "scroll");
  scroll.append(table);
  part.append(scroll);
  if (told.states === null) part.append(node("p", `States are not matched: ${told.states_unmatched}.`));
  return part;
}

export function drawModel(body, model) {
  const { portrait, metrics } = model;
  const history = node("ul", "", "timeline");
  for (const change of model.stages) {
    const item = node("li");
    const time = node("time", clock(change.at));
    time.dateTime = change.at;
    time.title = fullTime(change.at);
    item.append(time, node("span", `${change.to}, by ${change.actor}: ${change.reason}`));
    history.append(item);
  }
  const choice = (metrics.bic_by_states ?? []).map(([k, bic]) => `${k}: ${bic === null ? "refused" : number(bic, 7)}`).join(" · ");
  body.replaceChildren(
    facts([
      ["Stage", model.stage],
      ["Digest", model.digest],
      ["Trained on", `${model.dataset.bars} bars of ${model.symbol} ${model.interval} to ${fullTime(model.dataset.end_at)}`],
      ["Data, SHA-256", model.dataset.bars_sha256],
      ["Beside champion", model.parent_version === null ? "none" : `version ${model.parent_version}`],
      ["Log likelihood", number(metrics.log_likelihood, 8)],
      ["BIC by states", choice || "–"],
      ["Code", model.build],
    ]),
    ...(portrait
      ? [node("h2", "States"), states(portrait), node("h2", "How they follow one another"), matrix(portrait.labels, portrait.transition, "Probability of the next bar's state")]
      : [node("p", `Its bytes were let go ${fullTime(model.pruned_at)}: it never traded.`)]),
    node("h2", "Lineage"),
    drawLineage(model.graph),
    node("h2", "Gate verdicts"),
    verdicts(model.verdicts),
    ...(model.shadow.decisions || model.shadow.refused.length ? [node("h2", "In the shadow"), shadowPart(model.shadow)] : []),
    ...(model.drift.length ? [node("h2", "Drift"), driftPart(model.drift)] : []),
    ...(model.truth.length ? [node("h2", "Beside the true regimes"), truthPart(model.truth)] : []),
    node("h2", "History"),
    history,
  );
}
