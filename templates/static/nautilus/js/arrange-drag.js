// Moving a panel by its name, and pulling its corner, with a mouse or a finger. Nothing moves before the pointer lets go.
const STARTS_PX = 6;
const EDGE_PX = 40;
const SCROLL_PX = 14;
const HEIGHTS_PX = { small: 200, medium: 330, large: 660 };

/** Follow a pointer from an element on: `move(event)` while it is held, `end(isDropped)` once; Escape drops nothing. */
function follow(element, pointerId, move, end) {
  const stop = (isDropped) => {
    for (const [target, name, listener] of listeners) target.removeEventListener(name, listener, true);
    end(isDropped);
  };
  const own = (act) => (event) => event.pointerId === pointerId && act(event);
  const listeners = [
    [element, "pointermove", own(move)],
    [element, "pointerup", own(() => stop(true))],
    [element, "pointercancel", own(() => stop(false))],
    [element, "lostpointercapture", own(() => stop(false))],
    [window, "keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      stop(false);
    }],
  ];
  element.setPointerCapture(pointerId);
  for (const [target, name, listener] of listeners) target.addEventListener(name, listener, true);
}

/** Where a panel would go: before or behind which other. In a row of several left and right decide, else above and below. */
function aim(arrangement, cell, { x, y }) {
  let best = null;
  for (const other of arrangement.shown) {
    const box = other.getBoundingClientRect();
    const away = Math.hypot(Math.max(box.left - x, 0, x - box.right), Math.max(box.top - y, 0, y - box.bottom));
    if (!best || away < best.away) best = { other, box, away };
  }
  if (!best || best.other === cell) return null;
  const isRow = best.box.width > arrangement.grid.clientWidth * 0.9;
  const isBehind = isRow ? y > best.box.top + best.box.height / 2 : x > best.box.left + best.box.width / 2;
  return { other: best.other, isRow, isBehind };
}

function unmark(grid) {
  for (const cell of grid.querySelectorAll(".drop-before, .drop-after")) cell.classList.remove("drop-before", "drop-after", "drop-row");
}

/** `dropped(cell, other, isBehind)`, `pulled(cell, width, height)`; returns what ends the listening. */
export function bindDrag(arrangement, { dropped, pulled }) {
  const { grid } = arrangement;

  const drag = (event, handle) => {
    const cell = handle.closest("[data-cell]");
    const from = { x: event.clientX, y: event.clientY };
    let at = from;
    let target = null;
    let frame = null;
    const look = () => {
      unmark(grid);
      target = aim(arrangement, cell, at);
      if (!target) return;
      target.other.classList.add(target.isBehind ? "drop-after" : "drop-before");
      target.other.classList.toggle("drop-row", target.isRow);
    };
    // Near the bars above and below the page goes on under the pointer, as long as it is held there.
    const scroll = () => {
      const top = document.querySelector(".topbar").getBoundingClientRect().bottom;
      const bottom = document.getElementById("arrange").getBoundingClientRect().top;
      const by = at.y < top + EDGE_PX ? -SCROLL_PX : at.y > bottom - EDGE_PX ? SCROLL_PX : 0;
      if (by) {
        window.scrollBy(0, by);
        look();
      }
      frame = requestAnimationFrame(scroll);
    };
    follow(handle, event.pointerId, (move) => {
      at = { x: move.clientX, y: move.clientY };
      if (frame === null) {
        if (Math.hypot(at.x - from.x, at.y - from.y) < STARTS_PX) return;
        document.documentElement.dataset.dragging = "";
        cell.classList.add("is-dragged");
        frame = requestAnimationFrame(scroll);
      }
      look();
    }, (isDropped) => {
      cancelAnimationFrame(frame);
      delete document.documentElement.dataset.dragging;
      cell.classList.remove("is-dragged");
      unmark(grid);
      if (isDropped && frame !== null && target) dropped(cell, target.other, target.isBehind);
    });
  };

  const pull = (event, grip) => {
    const cell = grip.closest("[data-cell]");
    const before = [Number(cell.dataset.width), cell.dataset.height];
    const fromY = event.clientY;
    follow(grip, event.pointerId, (move) => {
      const column = grid.clientWidth / 12;
      const wanted = (move.clientX - cell.getBoundingClientRect().left) / column;
      arrangement.setWidth(cell, nearest(arrangement.widths, (width) => width - wanted));
      const part = cell.querySelector(".scroll, .chart");
      if (!part || Math.abs(move.clientY - fromY) < 20) return;
      const height = move.clientY - part.getBoundingClientRect().top;
      arrangement.setHeight(cell, nearest(Object.keys(HEIGHTS_PX), (name) => HEIGHTS_PX[name] - height));
    }, (isDropped) => {
      const after = [Number(cell.dataset.width), cell.dataset.height];
      arrangement.setWidth(cell, before[0]);
      arrangement.setHeight(cell, before[1]);
      if (isDropped) pulled(cell, ...after);
    });
  };

  const down = (event) => {
    if (event.button !== 0) return;
    const handle = event.target.closest("[data-handle]");
    const grip = event.target.closest("[data-grip]");
    if (!handle && !grip) return;
    if (grip) event.preventDefault();
    (handle ? drag : pull)(event, handle ?? grip);
  };
  grid.addEventListener("pointerdown", down);
  return () => grid.removeEventListener("pointerdown", down);
}

function nearest(names, distance) {
  return names.reduce((best, name) => (Math.abs(distance(name)) < Math.abs(distance(best)) ? name : best));
}
