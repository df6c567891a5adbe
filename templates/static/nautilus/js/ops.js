import { call } from "./api.js";
import { confirm } from "./freshness.js";
import { config, onState, refetch, refetchSoon, start } from "./shell.js";
import { LiveTable } from "./table.js";
import { complain, toast } from "./toast.js";

const RENEW_S = 5; // heartbeats and stream ages are not events
const names = ["processes", "queues", "runs", "divergences"];
const tables = Object.fromEntries(names.map((name) => [name, new LiveTable(name, config.tables[name])]));

onState((state) => {
  for (const name of names) tables[name].set(state[name]);
  confirm("page", 0, 20);
});

const now = document.getElementById("reconcile-now");
now?.addEventListener("click", async () => {
  const account = document.getElementById("reconcile-account").value;
  now.disabled = true;
  try {
    await call("POST", "/api/v1/reconcile", { account });
    toast(`Reconciliation of ${account} was asked for; its run appears below.`);
    refetchSoon(500);
  } catch (error) {
    complain(error);
  } finally {
    now.disabled = false;
  }
});
setInterval(() => document.visibilityState === "visible" && refetch(), RENEW_S * 1000);
start();
