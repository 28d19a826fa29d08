// What the tools show of a call, as one of Andon's causes. Neither names causes by itself, so this reads them as
// kindly as their user would: what stands on the screen, and would lead to the cause, counts as said.

/** Reading is what a call's time went to, if it is half of it; fewer tokens are no long prompt. */
const MOST = 0.5;
const LONG_TOKENS = 256;
/** A prompt that shares so much with an earlier one, and was read anew, has lost its cache. */
const SHARED_TOKENS = 32;

const none = { cause: "none", text: "" };

/** Of `kvprof analyze --json`: the request with this number. */
export function kvprofSays(requests, number) {
  const request = requests.find(({ seq }) => seq === number);
  if (!request) return { cause: "none", text: "(not recorded)" };
  const said = (cause) => ({ cause, text: request.summary });
  if (request.outcome === "client_disconnect") return said("client_gone");
  if (request.outcome === "upstream_closed") return said("runtime_down");
  const total = request.total_s ?? 0;
  if ((request.queue_wait_s ?? 0) >= Math.max(0.2, total / 5)) return said("queue");
  const read = request.prefilled ?? 0;
  if (read >= LONG_TOKENS && (request.pp_s ?? 0) >= total * MOST) {
    const isKnown =
      (request.lcp ?? 0) >= SHARED_TOKENS || request.diverge_section?.startsWith("system");
    return said(isKnown ? "prompt_cache_lost" : "long_prompt");
  }
  if (request.concurrent_with.length) return said("parallel_generation");
  return { ...none, text: request.summary };
}

/** Of what llmwatch warned of on its screen, and the events that it gives to other programs. */
export function llmwatchSays({ warnings, events }) {
  const warning = (pattern) => warnings.find((it) => pattern.test(it));
  const said = (cause, text) => ({ cause, text });
  const gone = warning(/cache gone/);
  if (gone) return said("prompt_cache_lost", gone);
  const swapping = warning(/swapping|memory free/);
  if (swapping) return said("memory_pressure", swapping);
  // It names the program that it takes for the busiest; the model's own server is no other program.
  const slow = warning(/slow:.* - /);
  if (slow && !/python|llama/.test(slow)) return said("cpu_starved", slow);
  const canceled = events.find(({ event }) => event === "request_abandoned");
  if (canceled) return said("client_gone", "x task cancelled - client disconnected");
  const read = events.findLast(({ event }) => event === "prefill_done");
  const end = events.findLast(({ event }) => event === "request_end");
  if (read && end && read.tokens >= LONG_TOKENS && read.seconds >= end.seconds * MOST) {
    return said("long_prompt", `${read.tokens} tok read in ${read.seconds} s of ${end.seconds} s`);
  }
  return { cause: "none", text: warnings.join("; ") };
}
