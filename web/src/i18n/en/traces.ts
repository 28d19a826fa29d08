import type { Cause } from "../../api/types";

/** What a sentence about a trace is made of; every part already has its unit. */
export interface WhyWords {
  total: string;
  /** Time of the phase, and its share of the total. */
  part: string;
  percent: string;
  phase: string | null;
  doing: string | null;
  model: string;
  message: string;
  /** The part of the prompt that changed, in words; null where it isn't known. */
  parted: string | null;
  /** Tokens that the runtime left out of the prompt, what its context holds, and what would do. */
  cut: { lost: string; limit: string; enough: string } | null;
}

const phases = {
  queue: "Waiting",
  load: "Loading",
  prompt: "Prompt",
  generate: "Generating",
  other: "Other",
};

const doing = {
  queue: "waiting for its turn",
  load: "loading the model",
  prompt: "reading the prompt",
  generate: "writing the answer",
};

const took = (what: string, w: WhyWords): string =>
  `${what} took ${w.part} of ${w.total} (${w.percent}).`;

const causes: Record<Cause, string> = {
  none: "Nothing unusual",
  cold_start: "Cold start",
  keep_alive_expired: "Keep-alive expired",
  evicted: "Evicted from memory",
  options_changed: "Options changed",
  queue: "Queue",
  long_prompt: "Long prompt",
  prompt_cache_lost: "Prompt cache lost",
  long_answer: "Long answer",
  cpu_starved: "Short of CPU",
  steal: "CPU stolen",
  throttled: "CPU throttled",
  memory_pressure: "Short of memory",
  partly_on_cpu: "Partly on CPU",
  slow_disk: "Slow disk",
  parallel_generation: "Parallel answers",
  network: "Network",
  slow_app: "Slow app",
  timeout: "Timeout",
  runtime_down: "Runtime down",
  out_of_memory: "Out of memory",
  model_missing: "Model missing",
  queue_full: "Queue full",
  client_gone: "Client gone",
  context_exceeded: "Context exceeded",
  prompt_cut: "Prompt cut",
  unknown: "Unknown",
};

const why: Record<Cause, (w: WhyWords) => string> = {
  none: (w) =>
    w.phase === null
      ? `Nothing unusual. It took ${w.total}.`
      : `Nothing unusual: ${w.doing} took most of the time, ${w.part} of ${w.total} (${w.percent}).`,
  cold_start: (w) => `Cold start. ${took("Loading the model", w)}`,
  keep_alive_expired: (w) =>
    `The model had left memory after its keep-alive time. ${took("Loading it again", w)}`,
  evicted: (w) => `Another model had pushed this one out. ${took("Loading it again", w)}`,
  options_changed: (w) => `Changed options made the model load again. ${took("That", w)}`,
  queue: (w) => `Other calls were ahead. ${took("Waiting for its turn", w)}`,
  long_prompt: (w) => `The prompt is long. ${took("Reading it", w)}`,
  prompt_cache_lost: (w) =>
    w.parted === null
      ? `The prompt had to be read anew. ${took("Reading it", w)}`
      : `The prompt had to be read anew, because ${w.parted} changed. ${took("Reading it", w)}`,
  long_answer: (w) => `The answer is long. ${took("Writing it", w)}`,
  cpu_starved: (w) => `Other processes held the CPU, so it took ${w.total}.`,
  steal: (w) => `The machine's host gave its CPU to others, so it took ${w.total}.`,
  throttled: (w) => `A CPU limit held the model back, so it took ${w.total}.`,
  memory_pressure: (w) => `The machine was short of memory, so it took ${w.total}.`,
  partly_on_cpu: (w) => `Only part of the model fitted on the GPU, so it took ${w.total}.`,
  slow_disk: (w) => `The disk was slow. ${took("Loading the model", w)}`,
  parallel_generation: (w) => `Several answers were written at once. ${took("This one", w)}`,
  network: (w) => `The network between the parts took long, in all ${w.total}.`,
  slow_app: (w) => `Most of the ${w.total} passed outside the model, in the app itself.`,
  timeout: (w) =>
    w.doing === null
      ? `Stopped by the time limit after ${w.total}.`
      : `Stopped by the time limit after ${w.total}, while ${w.doing}.`,
  runtime_down: (w) => `The runtime could not be reached${w.message}.`,
  out_of_memory: (w) => `The runtime ran out of memory${w.message}.`,
  model_missing: (w) => `The model ${w.model} is not installed.`,
  queue_full: () => "Turned away: too many calls were waiting already.",
  client_gone: (w) => `The reader left after ${w.total}, before the answer was complete.`,
  context_exceeded: (w) => `The text is longer than the model can take${w.message}.`,
  prompt_cut: (w) =>
    w.cut === null
      ? `The start of the prompt was cut off to fit the context. It took ${w.total}.`
      : `About ${w.cut.lost} tokens of the prompt were left out, because the context holds ${w.cut.limit}. ` +
        `Set num_ctx to ${w.cut.enough} or more.`,
  unknown: (w) => (w.message ? `It failed${w.message}.` : `It took ${w.total}; why is not known.`),
};

const advice: Partial<Record<Cause, string>> = {
  cold_start: "The first call after a start loads the model; the next ones find it in memory.",
  keep_alive_expired: "A longer keep_alive keeps the model in memory between calls.",
  evicted: "Fewer models at a time, or more memory, would keep this one loaded.",
  options_changed: "Calls with the same options share one loaded model.",
  queue: "Shorter answers, or fewer calls at once, shorten the wait.",
  long_prompt: "A prompt that begins like the one before is read from the cache.",
  prompt_cache_lost: "Keep the beginning of the prompt the same from call to call.",
  long_answer: "An output limit (num_predict) keeps answers short.",
  timeout: "A shorter prompt or output limit, or a longer time limit, would let it finish.",
  runtime_down: "andon doctor says what listens where, and starts from there.",
  out_of_memory: "A smaller model or context needs less memory.",
  model_missing: "Choose one of the installed models on the chat page.",
  queue_full: "Ask again in a moment.",
  context_exceeded: "Shorten the prompt or begin a new conversation.",
};

const errors: Record<string, string> = {
  no_message: "the request held no message",
  bad_json: "the request was not valid JSON",
  bad_field: "a field of the request had the wrong type",
  too_large: "the request was too large",
  bad_utf8: "the request was not valid UTF-8",
  not_found: "there is nothing at this address",
  method_not_allowed: "this address takes another method",
  runtime_failed: "the runtime answered with an error",
  request_refused: "the runtime refused the request",
  stream_broken: "the answer broke off",
  stream_unfinished: "the answer ended without saying that it was whole",
  proxy_failed: "the proxy could not be reached",
  unauthorized: "a password is needed",
  forbidden: "access was refused",
  body_timeout: "the request did not arrive in time",
  range_too_long: "the time range is too long",
  store_unavailable: "what was recorded cannot be read or written at present",
  internal: "the server failed on this request; its log says more",
};

/** In a word or two, for a tag. */
const errorNames: Record<string, string> = {
  runtime_failed: "Runtime error",
  request_refused: "Refused",
  stream_broken: "Broken off",
  stream_unfinished: "Unfinished",
};

export const traces = {
  title: "Traces",
  phases,
  doing,
  causes,
  why,
  advice,
  errors,
  errorNames,
  promptPart: {
    system: "the system text",
    "tool definition": (number: number) => `the definition of tool ${number}`,
    message: (number: number) => `message ${number}`,
  },
  status: { ok: "OK", error: "Error", unset: "No status" },
  parts: {
    input: "Input",
    output: "Output",
    system: "System",
    tool: "Tool",
    document: "Document",
    thinking: "Thinking",
    log: "Log",
  },
  roles: { user: "User", assistant: "Model", system: "System", tool: "Tool" } as Record<
    string,
    string
  >,
  retry: "Try again",
  copy: "Copy",
  copied: "Copied",
  close: "Close",
  unknownPage: {
    title: "There is no page here",
    text: (path: string) => `Nothing answers at ${path}.`,
    back: "To the traces",
  },

  filter: {
    label: "Filter traces",
    placeholder: "model:gemma3 duration:>5s -status:error",
    clear: "Clear the filter",
    help: "How to filter",
    helpTitle: "Filtering",
    helpText:
      "Free words search everywhere. A minus leaves out. Values with spaces go in quotes. Enter applies.",
    examples: [
      ["timeout", "the word anywhere"],
      ["status:error", "failed traces"],
      ["-status:error", "all but the failed"],
      ["cause:cold_start", "by cause"],
      ["model:gemma3:270m", "by model"],
      ["service:gateway", "by service"],
      ['name:"POST /chat"', "by name"],
      ["duration:>5s", "slower than 5 seconds"],
      ["text:weather", "words in prompts and answers that were kept"],
      ["@user.plan:pro", "an attribute of a span"],
    ] as [string, string][],
    wrong: "The filter could not be read",
  },
  ranges: {
    label: "Time",
    "15m": "Last 15 min",
    "1h": "Last hour",
    "24h": "Last 24 h",
    "7d": "Last 7 days",
    all: "All",
  },
  stretch: (from: string, to: string) => `${from} – ${to}`,
  stretchClear: "Back to the time range",
  matched: (count: string, plural: boolean) => `${count} ${plural ? "traces" : "trace"}`,
  matchedPartly: (count: string) => `At least ${count}; older texts were not searched`,
  facets: {
    label: "Narrow down",
    cause: "Cause",
    service: "Service",
    model: "Model",
    status: "Status",
  },
  facetsEmpty: "Nothing to narrow down",
  heat: {
    title: "How long they took",
    hint: "drag to narrow the time",
    partial: (loaded: string, all: string) => `from the ${loaded} loaded of ${all}`,
    cell: (count: string, errors: string) => `${count}, ${errors} failed`,
    label: "Durations over time",
    over: "longer",
  },
  columns: {
    time: "Time",
    service: "Service",
    name: "Name",
    model: "Model",
    duration: "Duration",
    shares: "Where it went",
    tokens: "Tokens",
    status: "Status",
    cause: "Cause",
  },
  tokensIn: "in",
  tokensOut: "out",
  answeredBy: (requested: string, answered: string) =>
    `${requested} was asked, ${answered} answered`,
  live: {
    title: "Running now",
    on: "Live",
    paused: "Paused",
    pause: "Pause the list",
    resume: "Go on",
    lost: "Reconnecting …",
    position: (place: string) => `place ${place}`,
    prompt: (done: string, total: string) => `${done} of ${total} tokens`,
    about: (figure: string) => `about ${figure}`,
    left: (time: string) => `${time} left`,
  },
  more: "Load more",
  loadingMore: "Loading more …",
  bounded: (count: string) =>
    `The list holds ${count} traces. A filter or a narrower time shows older ones.`,
  end: "That is all.",
  loading: "Loading traces …",
  empty: {
    title: "No traces yet",
    text: "Every question asked through Andon becomes a trace. Ask one, connect an app, or let the demo play a story:",
    connect: "Connect an app",
    chat: "Ask something",
  },
  noMatch: {
    title: "No trace matches",
    text: "Nothing in this time fits the filter.",
    clear: "Clear the filter",
    all: "Look at all times",
  },
  failed: {
    title: "The traces could not be loaded",
    network: "Andon does not answer. It may have stopped, or this machine lost its connection.",
    stale: "Could not be refreshed. What is shown may be out of date.",
    more: "The next traces could not be loaded.",
  },

  trace: {
    loading: "Loading the trace …",
    back: "All traces",
    notFound: "This trace is not stored",
    notFoundText: "It may have been removed by the retention, or it never arrived.",
    waiting: "Not stored yet; this page looks again by itself.",
    failed: "The trace could not be loaded",
    partial: "Parts of this trace have not arrived (yet): a span names a parent that is not here.",
    copyId: "Copy the trace id",
    tokens: (input: string, output: string) => `${input} in · ${output} out`,
    cached: (count: string) => `${count} cached`,
    cold: "Cold start",
    shares: "Where the time went",
    showSpan: "Show the span",
    spans: (count: string, plural: boolean) => `${count} ${plural ? "spans" : "span"}`,
  },
  waterfall: {
    label: "Spans",
    head: "Service · operation",
    expand: "Expand all",
    collapse: "Collapse all",
    toggle: (name: string) => `Show or hide what is below ${name}`,
    self: (time: string) => `self ${time}`,
    selfLabel: "Self time",
    orphan: "Its parent is not stored (yet)",
    outside: "Lies outside its parent: the clocks differ, or it went on after it",
    hidden: (count: string) => `+${count}`,
    keys: "Arrow keys move and fold, Enter selects",
  },
  lanes: {
    title: "Machine",
    cpu: "CPU",
    memory: "Memory",
    rss: "Runtime memory",
    disk: "Disk read",
    max: "max",
    of: (total: string) => `of ${total}`,
    short:
      "The machine is looked at once a second and this trace is shorter: the curves show the seconds around it, the trace is the marked part.",
    none: "The machine was not sampled at the time of this trace.",
    failed: "The machine's curves could not be loaded.",
    loading: "Loading the machine's curves …",
    rise: (bytes: string) => `${bytes} while loading`,
    missing: "Samples are missing for a part of this time.",
    at: "at",
  },
  tabs: {
    io: "Input/output",
    overview: "Overview",
    attributes: "Attributes",
    processes: "Processes",
    feedback: "Feedback",
    json: "JSON",
  },
  io: {
    none: "This span holds no text.",
    elsewhere: "Its text is on the call to the model.",
    characters: (count: string) => `${count} characters`,
    lost: (from: string, policy: string, count: string) =>
      `not kept from character ${from} on · policy ${policy} · ${count} characters`,
    nothing: (count: string) => `no text kept · policy none · ${count} characters`,
    failed: "The error, in words",
  },
  overview: {
    service: "Service",
    operation: "Operation",
    status: "Status",
    started: "Started",
    duration: "Duration",
    self: "Self time",
    queue: "Waiting",
    load: "Loading the model",
    prompt: "Reading the prompt",
    ttft: "To the first token",
    generate: "Writing",
    stall: "Longest gap",
    gap: "Gap between tokens (p95)",
    turn: "Call of its question",
    turnValue: (call: string, elapsed: string) => `${call}, ${elapsed} since the first`,
    attempt: "Attempt",
    attemptValue: (attempt: string, elapsed: string) =>
      `${attempt}, ${elapsed} since the first one`,
    quantization: "Quantization",
    onGpu: "On the GPU",
    app: "App",
    input: "Input",
    output: "Output",
    cached: "From the cache",
    reasoning: "Thinking",
    counted: "Counted",
    countedElsewhere: "with another span of this call",
    speed: "Writing speed",
    promptSpeed: "Reading speed",
    threads: "Threads",
    finish: "Ended because",
    model: "Model",
    requested: "Asked for",
    digest: "Model digest",
    context: "Context",
    provider: "Provider",
    http: "HTTP",
    error: "Error",
    cause: "Cause",
    session: "Session",
    request: "Request id",
    process: "Process",
    source: "Seen by",
  },
  attributes: {
    filter: "Filter attributes",
    none: "Nothing matches.",
    copyAll: "Copy all",
    copyOne: (name: string) => `Copy ${name}`,
  },
  processes: {
    name: "Process",
    cpu: "CPU, cores",
    memory: "Memory",
    none: "No process was sampled during this span.",
    runtime: "runtime",
    andon: "Andon",
    curve: (name: string) => `CPU of ${name} around this span`,
    note: "Mean CPU and greatest memory during the span.",
    nearest: "The span is shorter than the samples are apart: the nearest sample is shown.",
  },
  feedback: {
    ask: "Was this answer good?",
    up: "Good answer",
    down: "Bad answer",
    saved: "Saved",
    failed: "Could not be saved",
    none: "Nobody has judged this span yet.",
    notHere: "Feedback is given on the call to the model.",
    sources: { builtin: "built in", judge: "judge", human: "human", sdk: "SDK" },
    taken: "taken back",
  },
  notes: {
    title: "Notes",
    write: "Write a note on this trace",
    kept: "Kept word for word, as long as the trace",
    add: "Add",
    remove: "Remove",
    really: "Remove for good",
    keep: "Keep",
    damaged: "The disk changed this note: it is not what was written.",
  },
  json: { copy: "Copy the span", note: "As stored" },
  store: {
    broken: (reason: string): string => `Nothing is being recorded: ${reason}. `,
    dropped: (spans: string): string => `${spans} spans could not be recorded since the start.`,
  },
};
