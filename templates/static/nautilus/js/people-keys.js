// Exchange keys on the people page: looking at one, stopping its use, asking for another.
import { ask, field } from "./ask.js";
import { button } from "./order-actions.js";
import { can } from "./shell.js";

/** What stops with a key: the server raises these levels in the same moment. */
const STOPS = {
  executor: (account) => `${account} goes to CANCEL at once: nothing new is sent, and what rests at the exchange is cancelled with the watchdog's key. Positions stay, under the stops at the exchange; nothing here can close them until another key is in use.`,
  watchdog: (account) => `${account} goes to HALT_NEW at once: no new exposure while nothing could cancel on its own. On futures the exchange cancels what rests there once its countdown is no longer renewed.`,
  feed: (account) => `${account} goes to HALT_NEW at once: no new exposure while fills are heard of by reconciliation alone.`,
  exporter: () => "Metrics of this account end. Trading goes on.",
};

function revoke(row) {
  ask({
    title: `Revoke the ${row.purpose} key …${row.last_four} of ${row.account}`,
    effect: `${STOPS[row.purpose](row.account)} Its secret is forgotten here; delete the key at the exchange, too. Everybody is told. Going on takes another key, which two people and a look at it bring in, and a resume by two.`,
    confirm: "Revoke",
    request: ({ reason }) => ({ method: "POST", path: `/api/v1/credentials/${row.id}/revoke`, body: { last_four: row.last_four, reason } }),
    said: () => "Revoked.",
  });
}

function test(row) {
  ask({
    title: `Look at the ${row.purpose} key …${row.last_four} of ${row.account}`,
    effect: "A worker asks the exchange whether it takes the key and what it may do; the answer is in the table within seconds. Nothing else changes, whatever it is.",
    confirm: "Look",
    needsReason: false,
    request: () => ({ method: "POST", path: `/api/v1/credentials/${row.id}/test`, body: { last_four: row.last_four } }),
    said: () => "Asked for.",
  });
}

function replace(row) {
  ask({
    title: `Another ${row.purpose} key for ${row.account}`,
    effect: "Files a request; once a risk officer approves, a worker looks at what the key may do, and the present one is used until it has. The secret is sealed at once and never shown again.",
    confirm: "Ask for it",
    fields: [field("api_key", "API key", { required: true, wide: true }), field("api_secret", "Secret", { type: "password", required: true, wide: true })],
    request: ({ api_key, api_secret, reason }) => ({ method: "POST", path: "/api/v1/credentials", body: { account: row.account, purpose: row.purpose, api_key, api_secret, reason } }),
    said: () => "Request filed.",
  });
}

export function keyActions(row) {
  const made = [];
  if (can("keys.propose")) made.push(button("Replace…", `Replace the ${row.purpose} key of ${row.account}`, () => replace(row)));
  if (can("keys.operate") && row.state === "in_use") {
    made.push(button("Test…", `Look at the ${row.purpose} key of ${row.account}`, () => test(row)));
    made.push(button("Revoke…", `Revoke the ${row.purpose} key of ${row.account}`, () => revoke(row)));
  }
  return made;
}
