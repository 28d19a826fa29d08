import type { FailureCode } from "../../api/client";

/** The chat page's words. A function takes what is put into a sentence, already formatted. */
export const chat = {
  title: "Chat",
  untitled: "New conversation",

  // conversations
  conversations: "Conversations",
  openConversations: "Show conversations",
  closeConversations: "Close conversations",
  newConversation: "New conversation",
  today: "Today",
  yesterday: "Yesterday",
  earlier: "Earlier",
  noConversations: "Your conversations will be listed here. They stay in this browser.",
  rename: "Rename",
  renameField: "Name of the conversation",
  remove: "Delete",
  exportMarkdown: "Save as Markdown",
  exportJson: "Save as JSON",
  removeQuestion: (title: string) => `Delete «${title}»?`,
  removeDetail:
    "It is removed from this browser and cannot be brought back. Traces on the server stay.",
  cancel: "Cancel",
  notKept: "This browser keeps no conversations: they are gone when you leave the page.",
  privateConversation: "not recorded",

  // model and settings
  model: "Model",
  modelsGroup: "Models",
  routesGroup: "Routes of the app",
  modelLoading: "Asking the server…",
  modelNone: "No model",
  modelGone: (name: string) => `${name} (not offered now)`,
  routeOption: (path: string, model: string) => `${path} → ${model}`,
  routeStandIn: (path: string, model: string, by: string) => `${path} → ${model} (${by})`,
  standIn: (requested: string, model: string) =>
    `${requested} is not installed here. ${model} answers in its place.`,
  inMemory: "loaded",
  notInMemory: "not loaded yet",
  context: (tokens: string) => `context ${tokens}`,
  settings: "Settings",
  settingsTitle: "Settings of this conversation",
  system: "System prompt",
  systemHint: "What the model should keep to in every answer. Changing it makes it read all again.",
  temperature: "Temperature",
  temperatureHint: "0: always the likeliest word. Higher: freer. Empty: the model’s own.",
  modelDefault: "the model’s own",
  outputLimit: "Longest answer, in tokens",
  outputLimitHint: (max: string) => `1 to ${max}`,
  thinkChoice: "Thinking before answering",
  thinkDefault: "as the model does",
  thinkOn: "on",
  thinkOff: "off",
  close: "Done",
  temperatureChip: (value: string) => `Temperature ${value}`,
  systemChip: "with system prompt",

  // what is recorded
  private: "Don’t record this conversation",
  privateShort: "Don’t record",
  privateLocked:
    "Earlier questions here were not recorded, and follow-ups carry them along. Start a new conversation to record again.",
  recorded: "Recorded",
  recordedAll: "everything",
  recordedNothing: "no text",
  recordedFirst: (characters: string) => `first ${characters} characters`,
  recordedHint:
    "What the server keeps of questions and answers in traces. Times and token counts are always kept. The conversation itself stays in your browser.",

  // composing
  message: "Message",
  placeholder: "Ask something. Enter sends, Shift+Enter breaks the line",
  placeholderShort: "Ask something",
  send: "Send",
  stop: "Stop",
  emptyMessage: "There is nothing to send yet: write a message first.",
  stillAnswering: "The answer is still being written. Stop it first, or wait.",
  editing: "You are editing your last question. Its answers will be replaced.",
  cancelEdit: "Cancel editing",

  // conversation
  log: "Conversation",
  you: "You",
  answer: "Answer",
  toLatest: "To the latest",
  emptyTitle: "What shall we ask?",
  emptyText:
    "The model runs on this machine. While it works you see what it is doing and for how long, and afterwards why it took its time.",
  tryThese: "For example",
  examples: [
    "Explain in three sentences why the first answer of a local model is slow.",
    "Write a shell command that lists the ten largest files below this folder.",
    "What is the capital of Japan?",
  ],

  // waiting
  phases: { queue: "Queue", load: "Load", prompt: "Prompt", generate: "Write" },
  doing: {
    connect: "Sending the question",
    queue: "Waiting in line",
    load: "Loading the model",
    prompt: "Reading the prompt",
    generate: "Writing the answer",
  },
  skipped: { queue: "no queue", load: "already loaded", prompt: "prompt known", generate: "" },
  queueNext: "next in line",
  queuePlace: (place: string) => `place ${place} in line`,
  promptProgress: (done: string, total: string, percent: string) =>
    `${done} of ${total} (${percent})`,
  eta: (time: string) => `${time} left`,
  etaAbout: (time: string) => `about ${time} left`,
  stopsAt: (time: string) => `stops at ${time}`,
  total: "in all",
  cached: (tokens: string) => `${tokens} reused from before`,
  whyQueue: "The model answers one question after the other; others were first.",
  whyLoad: "The model is not in memory yet. That happens once; the next answers start sooner.",
  whyPrompt: "Every word of the question and of the conversation so far has to be read first.",
  whyPromptNothingCached: "Nothing could be reused from before, so it is read from the start.",
  thinking: "Thinking",
  thinkingNow: "Thinking…",

  // after
  responseTime: "Response time",
  responseDetail: (browser: string, server: string) =>
    `${browser} from the click to the last word on the screen; ${server} of it in the server`,
  why: "Why this time?",
  whySlow: (load: string) => `Why slow? Loading ${load}`,
  inputTokens: (tokens: string) => `${tokens} read`,
  cutAtLimit: "Cut at the output limit",
  cutHint: "The answer reached the longest length set for this conversation.",
  raiseLimit: "Change the limit",
  stopped: "This answer was stopped.",
  copyAnswer: "Copy the answer",
  copyCode: "Copy the code",
  code: "code",
  picture: (words: string) => `[picture: ${words}]`,
  regenerate: "Regenerate",
  edit: "Edit",
  editQuestion: "Edit the last question",
  thumbUp: "Good answer",
  thumbDown: "Bad answer",
  voteFailed: "Your judgement could not be stored. Try again.",
  earlierAnswer: "Earlier answer",
  laterAnswer: "Later answer",
  answerOf: (shown: string, all: string) => `${shown} of ${all}`,
  answered: "The answer is complete.",
  answerStopped: "The answer was stopped.",
  answerFailed: "The answer failed.",

  // errors
  retry: "Try again",
  retryAfter: (time: string) => `worth trying again in ${time}`,
  partialKept: "What had been written until then is kept above.",
  details: "Details",
  inPhase: (phase: string) => `while in: ${phase}`,
  errors: {
    no_message: ["There was no message.", "Write something and send it again."],
    bad_json: [
      "The server could not read the request.",
      "Something between page and server changed it. Reload the page and try again.",
    ],
    bad_field: [
      "The server did not accept one of the settings.",
      "Look at temperature and output limit in the settings.",
    ],
    too_large: [
      "The question with its conversation is too large.",
      "Shorten it, or start a new conversation.",
    ],
    bad_utf8: [
      "The text held characters that could not be read.",
      "Type the odd part again by hand; it may have been copied damaged.",
    ],
    not_found: [
      "The server does not know this address.",
      "Choose another model, or reload the page: the server may be of another version.",
    ],
    method_not_allowed: [
      "The server does not take questions at this address.",
      "Reload the page: the server may be of another version.",
    ],
    timeout: [
      "The time limit was reached before the answer was complete.",
      "Ask again: a loaded model starts at once. If it happens often, set a shorter output limit or raise the server’s time limit.",
    ],
    queue_full: [
      "Too many questions are waiting.",
      "Wait a little and try again; nothing of yours was lost.",
    ],
    runtime_down: [
      "The program that runs the model does not answer.",
      "If it has just been started, wait a moment. «andon doctor» says what is missing.",
    ],
    model_missing: [
      "This model is not installed.",
      "Choose another one above, or install it and try again.",
    ],
    context_exceeded: [
      "The conversation is longer than the model can read at once.",
      "Start a new conversation, or shorten the question or the system prompt.",
    ],
    out_of_memory: [
      "The memory was not enough for this model.",
      "Close other programs, choose a smaller model, or shorten the conversation.",
    ],
    runtime_failed: [
      "The model failed while it worked.",
      "Try again. The trace shows how far it came.",
    ],
    stream_broken: [
      "The connection broke in the middle of the answer.",
      "Try again. The trace shows what happened on the server.",
    ],
    proxy_failed: [
      "The proxy in front of the model failed.",
      "See whether it runs («andon doctor»), and try again.",
    ],
    unauthorized: ["The server asks for the password.", "Reload the page and sign in."],
    forbidden: [
      "The server refuses this page.",
      "Open it by the address that the server printed when it started.",
    ],
    body_timeout: [
      "The question did not arrive at the server in time.",
      "The connection may be slow or broken. Try again.",
    ],
    client_gone: [
      "The connection to the server was closed.",
      "Try again. The trace shows how far the answer came.",
    ],
    bad_request: [
      "The server could not read the request.",
      "Reload the page: the server may be of another version.",
    ],
    range_too_long: ["The time range is too long.", "Choose a shorter one."],
    too_much: ["That question takes too much", "Ask for a shorter time or for fewer rows."],
    busy: ["The server does something that has to end first.", "Try again in a moment."],
    store_unavailable: [
      "The server cannot write or read what it records.",
      "See whether its disk is full («andon doctor»), and try again.",
    ],
    internal: [
      "The server failed while it worked on the request.",
      "Try again. The server’s log says more.",
    ],
    network: [
      "The server cannot be reached.",
      "See whether «andon up» still runs, then try again. Your conversation is safe in this browser.",
    ],
    unexpected: [
      "Something unexpected happened.",
      "Try again. If it happens again, the details help to find out why.",
    ],
  } satisfies Record<FailureCode, [title: string, advice: string]>,
  timeoutAfter: (time: string) => `Stopped after ${time}: that is the time limit.`,
  startNew: "New conversation",

  // the runtime's chip
  runtimeDown: "Model server not reachable",
  serverGone: "Server not reachable",
  modelCount: (count: string) => `${count} models`,
  modelOne: "1 model",
  memory: "memory",
  ofMemory: (used: string, total: string) => `${used} of ${total}`,
  builtin: "built-in runtime",

  // export
  exportWords: {
    question: "Question",
    answer: "Answer",
    system: "System prompt",
    thinking: "Thinking",
    stopped: "stopped by the reader",
    failed: "failed",
  },
};
