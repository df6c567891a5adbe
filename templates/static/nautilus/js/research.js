// The research page: asking for runs, watching them, comparing them.
import { leaveOut, parameters, write } from "./address.js";
import { call } from "./api.js";
import { confirm } from "./freshness.js";
import { button } from "./order-actions.js";
import { can, config, feed, onEvent, onState, refetch, start } from "./shell.js";
import { bindAsking } from "./research-form.js";
import { showComparison, showJob } from "./research-detail.js";
import { LiveTable } from "./table.js";
import { complain, toast } from "./toast.js";

const TONES = { queued: "off", running: "accent", done: "good", failed: "bad", canceled: "warn" };
const OVER = new Set(["done", "failed", "canceled"]);
const chosen = new Set();

function rowOf(job) {
  const { total_return = null, max_drawdown = null, sharpe = null, trades = null } = job.figures ?? {};
  const lamp = { tone: TONES[job.state], text: job.state };
  return { ...job, lamp, series: `${job.symbol} ${job.interval}`, total_return, max_drawdown, sharpe, trades };
}

function actionsOf(job) {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = chosen.has(job.id);
  box.setAttribute("aria-label", `Select ${job.title} for comparison`);
  box.disabled = !Object.keys(job.figures ?? {}).length;
  box.addEventListener("change", () => choose(job.id, box.checked));
  const parts = [box, button("Details", `Details of ${job.title}`, () => open(job.id), "button-small button-quiet")];
  if (can("backtests.run")) {
    if (!OVER.has(job.state)) parts.push(button("Stop", `Stop ${job.title}`, () => act(job, "cancel")));
    if (job.state === "canceled" || job.state === "failed") parts.push(button("Go on", `Let ${job.title} go on`, () => act(job, "resume")));
  }
  if (job.state === "done" && job.report_url) {
    const link = document.createElement("a");
    link.className = "button button-small";
    link.href = job.report_url;
    link.target = "_blank";
    link.rel = "noopener";
    link.textContent = "Report";
    link.setAttribute("aria-label", `Report of ${job.title}`);
    parts.push(link);
  }
  return parts;
}

const jobs = new LiveTable("jobs", config.tables.jobs, { limit: 200, actions: actionsOf, onOpen: (job) => open(job.id) });

async function act(job, verb) {
  try {
    const { body } = await call("POST", `/api/v1/backtests/${job.id}/${verb}`);
    jobs.upsert(rowOf(body));
  } catch (error) {
    complain(error);
  }
}

async function open(id) {
  try {
    const { body } = await call("GET", `/api/v1/backtests/${id}`);
    showJob(body);
    write({ job: id });
  } catch (error) {
    if (parameters().get("job") === id) leaveOut("job");
    complain(error);
  }
}

function choose(id, on) {
  if (on) chosen.add(id);
  else chosen.delete(id);
  const enough = chosen.size >= 2;
  document.getElementById("compare").disabled = !enough;
  document.getElementById("compare-report").disabled = !chosen.size;
  document.getElementById("chosen").textContent = chosen.size ? `${chosen.size} selected.` : "Select two or more runs.";
}

const query = () => [...chosen].map((id) => `id=${id}`).join("&");
document.getElementById("compare").addEventListener("click", async () => {
  try {
    showComparison((await call("GET", `/api/v1/backtests/compare?${query()}`)).body);
  } catch (error) {
    complain(error);
  }
});
document.getElementById("compare-report").addEventListener("click", () => window.open(`/research/report/?${query()}`, "_blank", "noopener"));

bindAsking((job) => {
  jobs.upsert(rowOf(job), { flash: true });
  toast(`${job.title} was asked for; a worker takes it up.`);
});
document.getElementById("job").addEventListener("close", () => write({ job: "" }));

onState((state) => {
  jobs.set(state.jobs);
  confirm("page", 0, 45);
  confirm("live", 0, 15);
});
onEvent(({ topic, data }) => {
  if (topic === "research") jobs.upsert(rowOf(data));
});
feed.addEventListener("tick", () => feed.status === "live" && confirm("live", 0, 15));
setInterval(() => document.visibilityState === "visible" && jobs.values().some((job) => !OVER.has(job.state)) && refetch(), 5000);
start();
const asked = parameters().get("job");
if (asked) open(asked);
