// A runtime that answers in OpenAI's and Ollama's words, and tells secrets wherever an answer can
// hold a text. Each secret is a text of its own, so that one that is found says where it came from.
import http from "node:http";

/** Of all of them the first ten characters may be kept, and no more. */
export const SECRETS = {
  system: "倉庫番の三郎として答えよ。合言葉は朝顔と夕立と稲妻です。",
  question:
    "経営会議の議事録を要約せよ。来期は大阪の工場を閉鎖し、従業員三百名を北海道の支社へ配置転換する。" +
    "発表は九月の株主総会のあとであり、それまでは役員のほかの誰にも知らせてはならない。",
  answer:
    "承知しました、要約します。閉鎖される工場の名は伏せたまま、転勤の条件だけを表にまとめます。",
  thought: "利用者は何を求めているか。漏洩すると株価が暴落しかねない内容だから慎重に扱うべきだ。",
  toolDescription: "金庫の場所を調べる道具。社長室の本棚の三段目に隠された鍵が要る。",
  toolArguments: "港の三番倉庫の裏手にある青い金庫、暗証番号は八六四二番。",
  toolCall: "山の別荘の地下室にある赤い金庫、合鍵は庭師が首から下げている。",
  toolResult: "金庫の中には次のものがある。銀の燭台が七本、遺言状の写しが二通。",
  metadata: "社外秘の覚え書きとして残す。顧客番号四四九の解約を引き止めること。",
  prediction: "予想される返事はこうなる。燭台は競売に掛けられ、売り上げは寄付される。",
  schema: "返事の形についての説明です。買収先の社名を第二項に入れること。",
  dress: "月例報告を要約してほしい。新薬の治験で重い副作用が五例見つかった。",
  // Short enough to look like a name.
  short: "花瓶の下に鍵を置いてある。合図は九一五八。",
  raised: "答えを読み取れなかった件。患者の氏名は匿名化される前のものだった。",
};

const USAGE = { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15 };

const call = {
  id: "call_1",
  type: "function",
  function: { name: "find_safe", arguments: JSON.stringify({ place: SECRETS.toolCall }) },
};

function chat({ model, stream, tools }) {
  const base = { id: "chatcmpl-1", created: 1, model };
  const message = {
    role: "assistant",
    content: SECRETS.answer,
    reasoning_content: SECRETS.thought,
    ...(tools ? { tool_calls: [{ index: 0, ...call }] } : {}),
  };
  const finish_reason = tools ? "tool_calls" : "stop";
  if (!stream) {
    const choices = [{ index: 0, message, finish_reason }];
    return { ...base, object: "chat.completion", choices, usage: USAGE };
  }
  const chunk = (delta, reason = null) => ({
    ...base,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason: reason }],
  });
  const half = SECRETS.answer.length / 2;
  return [
    chunk({ ...message, content: SECRETS.answer.slice(0, half) }),
    chunk({ content: SECRETS.answer.slice(half) }),
    chunk({}, finish_reason),
    { ...base, object: "chat.completion.chunk", choices: [], usage: USAGE },
  ];
}

function responses({ model, instructions }) {
  const content = [{ type: "output_text", text: SECRETS.answer, annotations: [] }];
  const { name, arguments: said } = call.function;
  return {
    id: "resp_1",
    object: "response",
    created_at: 1,
    status: "completed",
    model,
    instructions,
    output: [
      {
        id: "rs_1",
        type: "reasoning",
        summary: [{ type: "summary_text", text: SECRETS.thought }],
      },
      { id: "msg_1", type: "message", role: "assistant", status: "completed", content },
      {
        id: "fc_1",
        type: "function_call",
        call_id: "call_1",
        name,
        arguments: said,
        status: "completed",
      },
    ],
    parallel_tool_calls: true,
    tool_choice: "auto",
    tools: [],
    usage: {
      input_tokens: 12,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 3,
      output_tokens_details: { reasoning_tokens: 1 },
      total_tokens: 15,
    },
  };
}

function ollama({ model, stream, tools }) {
  const base = { model, created_at: "2026-01-01T00:00:00.000000Z" };
  const message = { role: "assistant", content: SECRETS.answer, thinking: SECRETS.thought };
  if (tools)
    message.tool_calls = [
      { function: { name: "find_safe", arguments: { place: SECRETS.toolCall } } },
    ];
  const figures = { done: true, done_reason: "stop", prompt_eval_count: 12, eval_count: 3 };
  const whole = { ...base, message, response: SECRETS.answer, ...figures };
  return stream === false ? whole : [{ ...base, message, done: false }, whole];
}

const ROUTES = {
  "/v1/chat/completions": chat,
  "/v1/responses": responses,
  "/v1/completions": ({ model }) => ({
    id: "cmpl-1",
    object: "text_completion",
    created: 1,
    model,
    choices: [{ index: 0, text: SECRETS.answer, finish_reason: "stop", logprobs: null }],
    usage: USAGE,
  }),
  "/v1/embeddings": ({ model }) => ({
    object: "list",
    model,
    data: [{ object: "embedding", index: 0, embedding: [0.5, 0.25] }],
    usage: USAGE,
  }),
  "/api/chat": ollama,
  "/api/generate": ollama,
};

/** JSON as Python's `json.dumps` writes it. */
function inAscii(value) {
  return JSON.stringify(value).replace(
    /[\u0080-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Some runtimes say in their error what they were asked, and some as JSON writes it. */
function missingModel({ model, messages, prompt, input }) {
  const asked = messages?.at(-1)?.content ?? prompt ?? input;
  const message = `model '${model}' not found; the request was: ${asked} (${inAscii(asked)})`;
  return { error: { message, type: "not_found_error", param: null, code: null } };
}

export class Confessor {
  static async start() {
    const confessor = new Confessor();
    confessor.server = http.createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const asked = JSON.parse(Buffer.concat(chunks).toString("utf8") || "{}");
      confessor.#answer(request.url, asked, response);
    });
    await new Promise((resolve) => confessor.server.listen(0, "127.0.0.1", resolve));
    confessor.url = `http://127.0.0.1:${confessor.server.address().port}`;
    return confessor;
  }

  #answer(route, asked, response) {
    const said = (status, type, body) =>
      response.writeHead(status, { "content-type": type }).end(body);
    if (!ROUTES[route]) return said(404, "application/json", "{}");
    if (asked.model === "no-such-model") {
      const error = missingModel(asked);
      const body = route.startsWith("/api/") ? { error: error.error.message } : error;
      return said(404, "application/json", JSON.stringify(body));
    }
    const answer = ROUTES[route](asked);
    if (!Array.isArray(answer)) return said(200, "application/json", JSON.stringify(answer));
    if (route.startsWith("/api/")) {
      const lines = answer.map((piece) => `${JSON.stringify(piece)}\n`);
      return said(200, "application/x-ndjson", lines.join(""));
    }
    const events = answer.map((piece) => `data: ${JSON.stringify(piece)}\n\n`);
    return said(200, "text/event-stream", `${events.join("")}data: [DONE]\n\n`);
  }

  end() {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
