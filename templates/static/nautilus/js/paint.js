// All DOM writes of live data go through here: one batch per animation frame, the last write of a key wins.
const pending = new Map();
let scheduled = false;

export function paint(key, write) {
  pending.set(key, write);
  if (!scheduled) {
    scheduled = true;
    requestAnimationFrame(flush);
  }
}

function flush() {
  scheduled = false;
  const writes = [...pending.values()];
  pending.clear();
  for (const write of writes) write();
}
