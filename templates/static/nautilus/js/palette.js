// Ctrl+K: pages, symbols and orders by a few letters.
import { call } from "./api.js";

export function bindPalette({ config }) {
  const dialog = document.getElementById("palette");
  const input = dialog.querySelector("input");
  const list = dialog.querySelector("ul");
  let items = [];
  let at = 0;
  let asked = 0;

  const fixed = [
    ...config.pages.map((page) => ({ text: page.title, note: "page", href: page.href })),
    ...config.symbols.map((symbol) => ({ text: symbol, note: "chart", href: `/?symbol=${symbol}` })),
    ...config.symbols.map((symbol) => ({ text: `${symbol} orders`, note: "blotter", href: `/orders/?symbol=${symbol}` })),
  ];
  if (document.getElementById("halt-dialog")) {
    fixed.push({ text: "Halt trading", note: "Shift+H", run: () => document.querySelector("[data-open-halt]").click() });
  }
  if (document.getElementById("arrange-open")) {
    fixed.push({ text: "Arrange this page", note: "Shift+A", run: () => document.getElementById("arrange-open").click() });
  }

  const draw = () => {
    list.replaceChildren(...items.map((item, index) => {
      const row = document.createElement("li");
      row.id = `palette-${index}`;
      row.setAttribute("role", "option");
      row.setAttribute("aria-selected", String(index === at));
      for (const text of [item.text, item.note]) {
        const span = document.createElement("span");
        span.textContent = text;
        row.append(span);
      }
      row.addEventListener("click", () => choose(item));
      return row;
    }));
    input.setAttribute("aria-activedescendant", items.length ? `palette-${at}` : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };

  const choose = (item) => {
    dialog.close();
    if (item.run) item.run();
    else location.assign(item.href);
  };

  const search = async () => {
    const needle = input.value.trim().toLowerCase();
    const query = ++asked;
    items = fixed.filter((item) => item.text.toLowerCase().includes(needle)).slice(0, 12);
    at = 0;
    draw();
    if (needle.length < 8 || !/^[0-9a-z-]+$/.test(needle)) return;
    const field = /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(needle) ? "id" : "client_order_id";
    const text = input.value.trim();
    try {
      const path = field === "id" ? `/api/v1/orders/${text}` : `/api/v1/orders?client_order_id=${encodeURIComponent(text)}`;
      const { body } = await call("GET", path);
      if (query !== asked) return;
      const orders = body.results ?? [body];
      items = [...orders.map((order) => ({ text: `${order.side} ${order.quantity} ${order.symbol}`, note: order.status, href: `/orders/?explain=${order.id}` })), ...items];
      draw();
    } catch (error) {
      if (error.status !== 404 && error.status !== 400) throw error; // no such order: the list simply stays as it is
    }
  };

  const open = () => {
    if (dialog.open) return;
    input.value = "";
    dialog.showModal();
    search();
  };
  input.addEventListener("input", search);
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && items.length) {
      event.preventDefault();
      at = (at + step + items.length) % items.length;
      draw();
    } else if (event.key === "Enter" && items[at]) {
      event.preventDefault();
      choose(items[at]);
    }
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      open();
    }
  });
  document.getElementById("open-palette").addEventListener("click", open);
}
