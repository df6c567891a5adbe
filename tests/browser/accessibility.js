// Measures of a page, run inside it by the browser tests.
({
  // Visible controls without an accessible name.
  unlabelled: () => [...document.querySelectorAll("button, a[href], input, select, textarea, summary")]
  .filter((e) => e.checkVisibility())
  .filter((e) => {
    const by = (e.getAttribute("aria-labelledby") ?? "").split(" ").map((id) => document.getElementById(id)?.textContent ?? "").join("");
    const name = e.getAttribute("aria-label") || by || e.title || e.textContent.trim() || [...(e.labels ?? [])].map((l) => l.textContent.trim()).join("");
    return !name;
  })
  .map((e) => e.outerHTML.slice(0, 120)),

  // Relative luminance and contrast exactly as WCAG 2.2 defines them; backgrounds are blended up the tree.
  lowContrast: (ratio) => {
  const parse = (text) => {
    const srgb = /color\(srgb ([\d.]+) ([\d.]+) ([\d.]+)(?: \/ ([\d.]+))?\)/.exec(text);
    if (srgb) return [srgb[1] * 255, srgb[2] * 255, srgb[3] * 255, srgb[4] === undefined ? 1 : Number(srgb[4])];
    const n = text.match(/[\d.]+/g).map(Number);
    return [n[0], n[1], n[2], n[3] ?? 1];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const luminance = (c) => {
    const [r, g, b] = c.slice(0, 3).map((v) => { const s = v / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.unshift(parse(getComputedStyle(e).backgroundColor));
    return layers.reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.checkVisibility() || element.closest("script, svg, .visually-hidden, .skip, :disabled, .canvas")) continue;
    const under = background(element);
    const ink = over(parse(getComputedStyle(element).color), under);
    const [a, b] = [luminance(ink), luminance(under)].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < ratio) found.push(`${contrast.toFixed(2)} ${element.tagName}.${element.className}: ${walker.currentNode.textContent.trim().slice(0, 40)}`);
  }
  return found;
},
})
