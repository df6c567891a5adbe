// Calls to our own API: session cookie, CSRF token, idempotency key, problem documents as errors.
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `HTTP ${status}`);
    this.status = status;
    this.body = body;
    this.code = body.code ?? "HTTP_ERROR";
  }
}

/** Not crypto.randomUUID: that exists only on secure origins, and a plain-HTTP bind on a LAN is not one. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function csrfToken() {
  return document.querySelector("meta[name=csrf-token]")?.content ?? "";
}

export async function call(method, path, body = undefined, { key = null, timeoutS = 40 } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") {
    headers["X-CSRFToken"] = csrfToken();
    headers["Idempotency-Key"] = key ?? randomKey();
  }
  let response;
  try {
    response = await fetch(path, {
      method, headers, credentials: "same-origin", redirect: "manual",
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutS * 1000),
    });
  } catch (error) {
    if (!["TypeError", "TimeoutError", "AbortError"].includes(error.name)) throw error;
    const sent = method === "GET" ? "" : " It is not known whether the request was carried out: look before repeating it.";
    throw new Problem(0, { code: "NO_ANSWER", detail: `The server did not answer.${sent}` });
  }
  if (response.type === "opaqueredirect") throw new Problem(401, { code: "NOT_AUTHENTICATED", detail: "Your session has ended: log in again." });
  const text = await response.text();
  let answer = null;
  if (text) {
    try {
      answer = JSON.parse(text);
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new Problem(response.status, { code: "NOT_JSON", detail: `The server answered ${response.status} with something that is not JSON.` });
    }
  }
  if (!response.ok) throw new Problem(response.status, answer ?? {});
  return { status: response.status, body: answer };
}

/** Send a person through log-in and back here, remembering what they were about to do. */
export function stepUp(intent) {
  sessionStorage.setItem("nautilus.intent", JSON.stringify({ ...intent, at: Date.now() }));
  const back = location.pathname + location.search;
  location.assign(`/accounts/login/?next=${encodeURIComponent(back)}`);
}

export function takeIntent() {
  const text = sessionStorage.getItem("nautilus.intent");
  sessionStorage.removeItem("nautilus.intent");
  const intent = text ? JSON.parse(text) : null;
  return intent && Date.now() - intent.at < 300_000 ? intent : null;
}
