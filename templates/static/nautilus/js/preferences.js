// What a person chose on this browser: theme, time zone, hidden columns. Storage may be refused; then it lasts a page.
const PREFIX = "nautilus.";
const memory = new Map();

export function recall(name, fallback = null) {
  if (memory.has(name)) return memory.get(name);
  try {
    const text = localStorage.getItem(PREFIX + name);
    return text === null ? fallback : text;
  } catch (error) {
    if (error.name !== "SecurityError") throw error;
    return fallback;
  }
}

export function remember(name, value) {
  memory.set(name, value);
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch (error) {
    if (!["SecurityError", "QuotaExceededError"].includes(error.name)) throw error;
  }
}

export const zone = {
  get isLocal() {
    return recall("zone", "utc") === "local";
  },
  toggle() {
    remember("zone", this.isLocal ? "utc" : "local");
    document.dispatchEvent(new CustomEvent("zonechange"));
  },
};

export function effectiveTheme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen) return chosen;
  return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
}

export function toggleTheme() {
  const next = effectiveTheme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  remember("theme", next);
  document.dispatchEvent(new CustomEvent("themechange"));
}
