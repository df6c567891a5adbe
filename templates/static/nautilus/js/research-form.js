// The form of a new run: its parameter fields are made from the strategy's schema; presets stay in this browser.
import { call } from "./api.js";
import { drawFields, readFields } from "./parameter-fields.js";
import { recall, remember } from "./preferences.js";
import { config } from "./shell.js";

const form = document.getElementById("ask");
const holder = document.getElementById("parameters");
const kindOf = (name) => config.kinds.find((kind) => kind.name === name && kind.parameters);

export function showParameters() {
  const kind = kindOf(form.elements.strategy.value);
  drawFields(holder, kind?.parameters);
  document.getElementById("about-kind").textContent = kind?.description ?? "";
}

/** `STRATEGY@SYMBOL name=value …`, several parted by semicolons. */
function legsOf(text) {
  return text.split(";").map((part) => part.trim()).filter(Boolean).map((part) => {
    const [who, ...pairs] = part.split(/\s+/);
    const [strategy, symbol = ""] = who.split("@");
    const { share, ...params } = Object.fromEntries(pairs.map((pair) => pair.split("=", 2)));
    return { strategy, symbol, params, ...(share === undefined ? {} : { share }) };
  });
}

function answers() {
  const one = (name) => form.elements[name].value.trim();
  const [market, symbol, interval] = one("series").split(":");
  const grid = one("grid") ? one("grid").split(/\s+/) : [];
  const searched = new Set(grid.map((part) => part.split("=")[0]));
  const params = readFields(holder, searched);
  const body = { strategy: one("strategy"), symbol, interval, market, params, grid, score: one("score") };
  if (form.elements.lookahead.checked) body.lookahead = {};
  if (one("train") || one("test")) body.walk = { train: Number(one("train")), test: Number(one("test")) };
  if (one("legs")) body.legs = legsOf(one("legs"));
  const values = Object.fromEntries(one("limit").split(/\s+/).filter(Boolean).map((pair) => pair.split("=", 2)).map(([name, value = ""]) => [name, value]));
  if (one("limits_of") || Object.keys(values).length) body.limits = { account: one("limits_of"), values };
  for (const name of ["cash", "allocation", "fee_bps", "slippage_bps", "title"]) if (one(name)) body[name] = one(name);
  for (const name of ["start", "end"]) if (one(name)) body[name] = `${one(name)}T00:00:00Z`;
  return body;
}

export function fillForm(values) {
  form.elements.strategy.value = values.strategy;
  showParameters();
  for (const [name, value] of Object.entries(values)) {
    const input = form.elements[name];
    if (!input || name === "strategy") continue;
    if (input.type === "checkbox") input.checked = value;
    else input.value = value;
  }
}

function bindPresets() {
  const select = document.getElementById("presets");
  const known = () => JSON.parse(recall("research.presets", "{}"));
  const list = () => select.replaceChildren(new Option("none", ""), ...Object.keys(known()).sort().map((name) => new Option(name, name)));
  list();
  select.addEventListener("change", () => select.value && fillForm(known()[select.value]));
  document.getElementById("save-preset").addEventListener("click", () => {
    const values = {};
    for (const input of form.elements) if (input.name) values[input.name] = input.type === "checkbox" ? input.checked : input.value;
    const name = values.title || `${values.strategy} ${values.series}`;
    remember("research.presets", JSON.stringify({ ...known(), [name]: values }));
    list();
    select.value = name;
  });
}

/** Bind the form where this person may run something; `onAsked` gets the job. */
export function bindAsking(onAsked) {
  if (!form) return;
  const result = document.getElementById("ask-result");
  form.elements.strategy.addEventListener("change", showParameters);
  showParameters();
  bindPresets();
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const submit = form.querySelector("[type=submit]");
    submit.disabled = true;
    result.hidden = true;
    try {
      onAsked((await call("POST", "/api/v1/backtests", answers())).body);
    } catch (error) {
      result.textContent = `${error.code}: ${error.message}`;
      result.dataset.tone = "bad";
      result.hidden = false;
    } finally {
      submit.disabled = false;
    }
  });
}
