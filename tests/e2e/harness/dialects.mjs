// A runtime that answers in every dialect that the capture reads, always the same: so that what a
// client gets directly and through Andon can be compared to the byte. `missing-model` is unknown,
// `busy-model` turns away.
import http from "node:http";
import { setTimeout as pause } from "node:timers/promises";

const NDJSON = "application/x-ndjson";
const SSE = "text/event-stream";
const CREATED = "2026-01-01T00:00:00.000000Z";
/** Between two pieces of a stream. */
const STEP_MS = 5;

const figures = {
  done: true,
  done_reason: "stop",
  total_duration: 90_000_000,
  load_duration: 3_000_000,
  prompt_eval_count: 12,
  prompt_eval_duration: 10_000_000,
  eval_count: 3,
  eval_duration: 40_000_000,
};
const usage = { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 };
const toolCall = { name: "get_weather", arguments: { city: "大阪" } };

const text = (value) => JSON.stringify(value);
const line = (value) => `${text(value)}\n`;
const data = (value) => `data: ${text(value)}\n\n`;
const event = (value) => `event: ${value.type}\ndata: ${text(value)}\n\n`;

function ollamaChat({ model, stream = true, tools, think }) {
  const base = { model, created_at: CREATED };
  const message = { role: "assistant", content: tools?.length ? "" : "空は" };
  if (tools?.length) message.tool_calls = [{ function: toolCall }];
  if (think) message.thinking = "ふむ";
  if (!stream) return [text({ ...base, message, ...figures })];
  const rest = { role: "assistant", content: "青い。" };
  return [
    line({ ...base, message, done: false }),
    line({ ...base, message: rest, done: false }),
    line({ ...base, message: { role: "assistant", content: "" }, ...figures }),
  ];
}

function ollamaGenerate({ model, stream = true, prompt }) {
  const base = { model, created_at: CREATED };
  // Without a prompt the model is loaded, or unloaded.
  if (!prompt) return [text({ ...base, response: "", done: true, done_reason: "unload" })];
  if (!stream) return [text({ ...base, response: "hi", context: [1, 2], ...figures })];
  return [
    line({ ...base, response: "h", done: false }),
    line({ ...base, response: "i", done: false }),
    line({ ...base, response: "", context: [1, 2], ...figures }),
  ];
}

function openaiChat({ model, stream, tools, stream_options: options }) {
  const base = { id: "chatcmpl-1", created: 1, model };
  const calls = [
    {
      index: 0,
      id: "call_1",
      type: "function",
      function: { name: toolCall.name, arguments: text(toolCall.arguments) },
    },
  ];
  const finish = tools?.length ? "tool_calls" : "stop";
  if (!stream) {
    const content = tools?.length
      ? { content: null, tool_calls: calls }
      : { content: "空は青い。" };
    const message = { role: "assistant", ...content };
    const choices = [{ index: 0, message, finish_reason: finish }];
    return [text({ ...base, object: "chat.completion", choices, usage })];
  }
  const chunk = (delta, reason = null) =>
    data({
      ...base,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason: reason }],
    });
  const pieces = tools?.length
    ? [chunk({ role: "assistant", tool_calls: calls })]
    : [chunk({ role: "assistant", content: "空は" }), chunk({ content: "青い。" })];
  if (options?.include_usage) {
    pieces.push(chunk({}, finish));
    pieces.push(data({ ...base, object: "chat.completion.chunk", choices: [], usage }));
  } else {
    pieces.push(chunk({}, finish));
  }
  return [...pieces, "data: [DONE]\n\n"];
}

function responses({ model, stream }) {
  const content = [{ type: "output_text", text: "hi", annotations: [] }];
  const item = { id: "msg_1", type: "message", role: "assistant", status: "completed", content };
  const whole = {
    id: "resp_1",
    object: "response",
    created_at: 1,
    status: "completed",
    model,
    output: [item],
    parallel_tool_calls: true,
    tool_choice: "auto",
    tools: [],
    usage: {
      input_tokens: 12,
      input_tokens_details: { cached_tokens: 4 },
      output_tokens: 3,
      output_tokens_details: { reasoning_tokens: 1 },
      total_tokens: 15,
    },
  };
  if (!stream) return [text(whole)];
  const started = { ...whole, status: "in_progress", output: [] };
  const place = { item_id: "msg_1", output_index: 0, content_index: 0 };
  return [
    event({ type: "response.created", sequence_number: 0, response: started }),
    event({ type: "response.output_text.delta", sequence_number: 1, ...place, delta: "hi" }),
    event({ type: "response.completed", sequence_number: 2, response: whole }),
  ];
}

function messages({ model, stream, tools }) {
  const say = { type: "text", text: "空は青い。" };
  const use = { type: "tool_use", id: "toolu_1", name: toolCall.name, input: toolCall.arguments };
  const block = tools?.length ? use : say;
  const reason = tools?.length ? "tool_use" : "end_turn";
  const counted = { input_tokens: 8, cache_read_input_tokens: 4, output_tokens: 3 };
  const base = { id: "msg_1", type: "message", role: "assistant", model, stop_sequence: null };
  if (!stream) return [text({ ...base, content: [block], stop_reason: reason, usage: counted })];
  const message = {
    ...base,
    content: [],
    stop_reason: null,
    usage: { ...counted, output_tokens: 0 },
  };
  const empty = tools?.length ? { ...use, input: {} } : { type: "text", text: "" };
  const deltas = tools?.length
    ? ['{"city":', '"大阪"}'].map((json) => ({ type: "input_json_delta", partial_json: json }))
    : ["空は", "青い。"].map((piece) => ({ type: "text_delta", text: piece }));
  return [
    event({ type: "message_start", message }),
    event({ type: "content_block_start", index: 0, content_block: empty }),
    event({ type: "ping" }),
    ...deltas.map((delta) => event({ type: "content_block_delta", index: 0, delta })),
    event({ type: "content_block_stop", index: 0 }),
    event({
      type: "message_delta",
      delta: { stop_reason: reason, stop_sequence: null },
      usage: { output_tokens: 3 },
    }),
    event({ type: "message_stop" }),
  ];
}

const model = {
  name: "tinyllama:latest",
  model: "tinyllama:latest",
  modified_at: CREATED,
  size: 1_000,
  digest: "d".repeat(64),
  details: { format: "gguf", family: "llama", parameter_size: "1B", quantization_level: "Q4_0" },
};
const listed = {
  object: "list",
  data: [{ id: "tinyllama", object: "model", created: 1, owned_by: "x" }],
};
const vectors = [
  { object: "embedding", index: 0, embedding: [0.6, 0.8] },
  { object: "embedding", index: 1, embedding: [1, 0] },
];

/** Path to what makes the pieces of its answer. */
const ANSWERS = {
  "POST /api/chat": ollamaChat,
  "POST /api/generate": ollamaGenerate,
  "POST /api/embed": (asked) => [
    text({
      model: asked.model,
      embeddings: [
        [0.6, 0.8],
        [1, 0],
      ],
      total_duration: 9,
      load_duration: 1,
      prompt_eval_count: 2,
    }),
  ],
  "POST /api/embeddings": () => [text({ embedding: [0.6, 0.8] })],
  "POST /api/show": () => [text({ details: model.details, model_info: {}, capabilities: [] })],
  "GET /api/tags": () => [text({ models: [model] })],
  "GET /api/ps": () => [text({ models: [{ ...model, size_vram: 0, expires_at: CREATED }] })],
  "GET /api/version": () => [text({ version: "0.33.4" })],
  "POST /v1/chat/completions": openaiChat,
  "POST /v1/completions": (asked) => [
    text({
      id: "cmpl-1",
      object: "text_completion",
      created: 1,
      model: asked.model,
      choices: [{ index: 0, text: "hi", finish_reason: "stop", logprobs: null }],
      usage,
    }),
  ],
  "POST /v1/embeddings": (asked) => [
    text({
      object: "list",
      model: asked.model,
      data: asked.encoding_format === "base64" ? vectors.map(inBase64) : vectors,
      usage: { prompt_tokens: 2, total_tokens: 2 },
    }),
  ],
  "GET /v1/models": () => [text(listed)],
  "POST /v1/responses": responses,
  "POST /v1/messages": messages,
};

function inBase64(vector) {
  const bytes = Buffer.from(new Float32Array(vector.embedding).buffer);
  return { ...vector, embedding: bytes.toString("base64") };
}

const FAILURES = {
  "missing-model": [404, "model 'missing-model' not found"],
  "busy-model": [503, "server busy, please try again.  maximum pending requests exceeded"],
};

function failure(path, name) {
  const [status, message] = FAILURES[name];
  const wrapped = path.startsWith("/v1/") ? { message, type: "api_error", code: null } : message;
  const body = path === "/v1/messages" ? { type: "error", error: wrapped } : { error: wrapped };
  return { status, body: text(body) };
}

function contentType(path, pieces) {
  if (pieces.length < 2) return "application/json; charset=utf-8";
  return path.startsWith("/v1/") ? SSE : NDJSON;
}

export class Dialects {
  /** Every request but the probes of Andon itself: `{method, path, headers, body}`. */
  seen = [];

  static async start() {
    const runtime = new Dialects();
    runtime.server = http.createServer((request, response) => runtime.#serve(request, response));
    await new Promise((resolve) => runtime.server.listen(0, "127.0.0.1", resolve));
    runtime.url = `http://127.0.0.1:${runtime.server.address().port}`;
    return runtime;
  }

  async #serve(request, response) {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString("utf8");
    const { method, url: path, headers } = request;
    // Clients name themselves; Andon, looking whether a runtime is there, does not.
    if (headers["user-agent"]) this.seen.push({ method, path, headers, body });
    const answer = ANSWERS[`${method} ${path.split("?")[0]}`];
    if (!answer) return response.writeHead(404).end("404 page not found");
    const asked = body ? JSON.parse(body) : {};
    if (FAILURES[asked.model]) {
      const { status, body: said } = failure(path, asked.model);
      return response.writeHead(status, { "content-type": "application/json" }).end(said);
    }
    const pieces = answer(asked);
    response.writeHead(200, { "content-type": contentType(path, pieces) });
    for (const [at, piece] of pieces.entries()) {
      if (at > 0) await pause(STEP_MS);
      response.write(piece);
    }
    return response.end();
  }

  end() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
