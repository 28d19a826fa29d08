// At most one call in a while, and never the last one lost.

export function throttled(call: () => void, everyMs: number): { (): void; cancel(): void } {
  let last = -Infinity;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = (): void => {
    timer = undefined;
    last = Date.now();
    call();
  };
  const asked = (): void => {
    if (timer !== undefined) return;
    const rest = last + everyMs - Date.now();
    if (rest <= 0) run();
    else timer = setTimeout(run, rest);
  };
  asked.cancel = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  return asked;
}
