// One WebSocket for everything live. Events carry increasing ids; after a break we resume from the last one seen.
const SILENCE_S = 12;   // the server says something at least every 10 s
const GIVE_UP_S = 25;   // a socket silent for so long is dead, whatever the browser believes
const LONGEST_WAIT_MS = 15_000;

export class LiveFeed extends EventTarget {
  constructor({ topics, lastId = null, url = null, socket = WebSocket }) {
    super();
    this.topics = topics;
    this.lastId = lastId;
    this.url = url ?? `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/live/`;
    this.Socket = socket;
    this.attempts = 0;
    this.connections = 0;
    this.greeted = false;
    this.heardAt = null;
    this.status = "connecting";
    this.timer = null;
  }

  start() {
    this.#connect();
    this.watch = setInterval(() => this.#check(), 1000);
    addEventListener("online", () => this.#retryNow());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#retryNow());
  }

  /** Seconds since the server was last heard, null before the first time. */
  get silence() {
    return this.heardAt === null ? null : (performance.now() - this.heardAt) / 1000;
  }

  #connect() {
    clearTimeout(this.timer);
    this.timer = null;
    const socket = new this.Socket(this.url);
    this.socket = socket;
    this.openedAt = performance.now();
    socket.onopen = () => socket.send(JSON.stringify({ subscribe: this.topics, resume: this.lastId, batch: true }));
    socket.onmessage = (message) => this.socket === socket && this.#receive(message.data);
    socket.onclose = (event) => this.socket === socket && this.#closed(event);
  }

  #receive(text) {
    this.heardAt = performance.now();
    const message = JSON.parse(text);
    if (message.subscribed) {
      this.attempts = 0;
      this.greeted = true;
      this.connections += 1;
      if (this.lastId === null) this.lastId = message.last_id ?? null;
      this.#become("live");
      this.dispatchEvent(new CustomEvent("subscribed", { detail: { again: this.connections > 1 } }));
    } else if (message.events) {
      for (const event of message.events) this.#tell(event);
    }
    if (this.status === "stale") this.#become("live");
  }

  #tell(event) {
    if (typeof event.id === "number") {
      if (this.lastId !== null && event.id <= this.lastId) return; // a repeat after a resume
      this.lastId = event.id;
    }
    this.dispatchEvent(new CustomEvent("event", { detail: event }));
  }

  #closed(event) {
    this.socket = null;
    const { greeted } = this;
    this.greeted = false;
    // What was let in before is refused when another tab renewed the log-in: the cookie names another session by now.
    if ((event.code === 4401 || event.code === 4403) && !greeted) {
      this.#become("signed-out");
      return;
    }
    this.#become("reconnecting");
    const longest = Math.min(LONGEST_WAIT_MS, 400 * 2 ** this.attempts);
    this.attempts += 1;
    this.timer = setTimeout(() => this.#connect(), longest * (0.5 + Math.random() / 2)); // jitter: not all tabs at once
  }

  #retryNow() {
    if (this.timer !== null) {
      this.attempts = 0;
      this.#connect();
    }
  }

  #check() {
    const heard = this.heardAt ?? this.openedAt;
    const silent = (performance.now() - Math.max(heard, this.openedAt)) / 1000;
    if (this.socket && silent > GIVE_UP_S) {
      const dead = this.socket;
      this.socket = null;
      dead.close();
      this.#closed({ code: 1006 });
    } else if (this.status === "live" && silent > SILENCE_S) {
      this.#become("stale");
    }
    this.dispatchEvent(new Event("tick"));
  }

  #become(status) {
    if (status === this.status) return;
    this.status = status;
    this.dispatchEvent(new CustomEvent("status", { detail: status }));
  }
}
