// Short messages in the corner, read out by screen readers; at most five at a time.
export function toast(text, tone = "good", link = null) {
  const box = document.getElementById("toasts");
  const message = document.createElement("div");
  message.className = "message";
  message.dataset.tone = tone;
  message.textContent = text;
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link.href;
    anchor.textContent = ` ${link.text}`;
    message.append(anchor);
  }
  box.append(message);
  while (box.children.length > 5) box.firstChild.remove();
  setTimeout(() => message.remove(), tone === "bad" ? 20_000 : 8_000);
}

/** Say what went wrong: the sentence of the problem document and its code. */
export function complain(error) {
  toast(error.code ? `${error.message} (${error.code})` : String(error), "bad");
}

export function showProblem(element, error) {
  element.hidden = false;
  element.dataset.tone = "bad";
  element.textContent = `${error.message} (${error.code ?? error.name})`;
  const link = error.body?.link; // where what stands in the way is dealt with
  if (typeof link !== "string" || !/^\/[^/]/.test(link)) return;
  const anchor = document.createElement("a");
  anchor.href = link;
  anchor.textContent = " Open it";
  element.append(anchor);
}
