// Browser sessions on the people page: who is logged in, from where, and ending it.
import { ask } from "./ask.js";
import { button } from "./order-actions.js";
import { config } from "./shell.js";

/** What a row of the sessions offers. */
export function sessionActions(row) {
  return [button("End…", `End the session of ${row.username} from ${row.address || "an unknown address"}`, () => ask({
    title: row.current ? "End this session" : `End a session of ${row.username}`,
    effect: `${row.current ? "You are logged out here" : "Whoever sits there is logged out"}: the next request is refused, live pages end within five seconds. Tokens stay.`,
    confirm: "End it",
    needsReason: false,
    request: () => ({ method: "DELETE", path: `/api/v1/sessions/${row.id}` }),
    said: () => "Ended.",
  }))];
}

/** The button that logs a person out everywhere. */
export function endSessions(row) {
  const own = row.username === config.user;
  return button("End sessions…", `End every session of ${row.username}`, () => ask({
    title: own ? "Log out everywhere" : `End every session of ${row.username}`,
    effect: `${own ? "This one with them. " : ""}Live pages end within five seconds. They can log in again: to keep somebody out, switch them off. Tokens stay.`,
    confirm: "End all",
    needsReason: !own,
    request: ({ reason }) => (own ? { method: "DELETE", path: "/api/v1/sessions" } : { method: "POST", path: `/api/v1/people/${row.username}/sessions/end`, body: { reason } }),
    said: (_, body) => `${body.ended} ended.`,
  }));
}
