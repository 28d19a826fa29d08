import type { chat as en } from "../en/chat";

export const chat: typeof en = {
  title: "チャット",
  untitled: "新しい会話",

  // conversations
  conversations: "会話",
  openConversations: "会話の一覧を開く",
  closeConversations: "会話の一覧を閉じる",
  newConversation: "新しい会話",
  today: "今日",
  yesterday: "昨日",
  earlier: "それ以前",
  noConversations: "会話はここに並びます。保存先はこのブラウザーだけです。",
  rename: "名前を変える",
  renameField: "会話の名前",
  remove: "削除",
  exportMarkdown: "Markdown で保存",
  exportJson: "JSON で保存",
  removeQuestion: (title) => `「${title}」を削除しますか?`,
  removeDetail: "このブラウザーから消え、元に戻せません。サーバーのトレースは残ります。",
  cancel: "やめる",
  notKept: "このブラウザーには会話を保存できません。ページを離れると消えます。",
  privateConversation: "記録なし",

  // model and settings
  model: "モデル",
  modelsGroup: "モデル",
  routesGroup: "アプリのルート",
  modelLoading: "サーバーに問い合わせています…",
  modelNone: "モデルなし",
  modelGone: (name) => `${name} (今は使えません)`,
  routeOption: (path, model) => `${path} → ${model}`,
  routeStandIn: (path, model, by) => `${path} → ${model} (${by})`,
  standIn: (requested, model) =>
    `${requested} はこのマシンにありません。代わりに ${model} が答えます。`,
  inMemory: "読み込み済み",
  notInMemory: "未読み込み",
  context: (tokens) => `コンテキスト ${tokens}`,
  settings: "設定",
  settingsTitle: "この会話の設定",
  system: "システムプロンプト",
  systemHint: "すべての回答で守らせること。変えると、会話を最初から読み直します。",
  temperature: "温度",
  temperatureHint: "0: いつも最も確かな語。大きいほど自由に。空欄: モデルの既定値。",
  modelDefault: "モデルの既定値",
  outputLimit: "回答の長さの上限 (トークン)",
  outputLimitHint: (max) => `1 〜 ${max}`,
  thinkChoice: "回答前の思考",
  thinkDefault: "モデルに任せる",
  thinkOn: "する",
  thinkOff: "しない",
  close: "閉じる",
  temperatureChip: (value) => `温度 ${value}`,
  systemChip: "システムプロンプトあり",

  // what is recorded
  private: "この会話を記録しない",
  privateShort: "記録しない",
  privateLocked:
    "この会話には記録しなかった質問があり、続きの質問と一緒に送られます。記録を再開するには、新しい会話を始めてください。",
  recorded: "記録",
  recordedAll: "全文",
  recordedNothing: "本文なし",
  recordedFirst: (characters) => `最初の ${characters} 文字`,
  recordedHint:
    "サーバーがトレースに残す、質問と回答の範囲です。時間とトークン数は常に残ります。会話そのものはこのブラウザーにだけ保存されます。",

  // composing
  message: "メッセージ",
  placeholder: "質問を入力 — Enter で送信、Shift+Enter で改行",
  placeholderShort: "質問を入力",
  send: "送信",
  stop: "停止",
  emptyMessage: "送る内容がありません。メッセージを入力してください。",
  stillAnswering: "まだ回答中です。停止するか、終わるまでお待ちください。",
  editing: "最後の質問を編集しています。送信すると、その回答は置き換わります。",
  cancelEdit: "編集をやめる",

  // conversation
  log: "会話",
  you: "あなた",
  answer: "回答",
  toLatest: "最新へ",
  emptyTitle: "何を聞きましょうか",
  emptyText:
    "モデルはこのマシンで動きます。待つ間は、いま何をしていて何秒経ったかを表示し、終わればその時間がかかった理由を確かめられます。",
  tryThese: "たとえば",
  examples: [
    "ローカル LLM の最初の回答が遅い理由を、三つの文で説明してください。",
    "このフォルダー以下で最も大きい 10 個のファイルを並べるシェルコマンドを書いてください。",
    "日本の首都はどこですか?",
  ],

  // waiting
  phases: { queue: "順番待ち", load: "読み込み", prompt: "プロンプト", generate: "生成" },
  doing: {
    connect: "質問を送っています",
    queue: "順番を待っています",
    load: "モデルを読み込んでいます",
    prompt: "プロンプトを読んでいます",
    generate: "回答を書いています",
  },
  skipped: { queue: "待ちなし", load: "読み込み済み", prompt: "プロンプト既読", generate: "" },
  queueNext: "次の番です",
  queuePlace: (place) => `${place} 番目`,
  promptProgress: (done, total, percent) => `${total}中 ${done} (${percent})`,
  eta: (time) => `あと ${time}`,
  etaAbout: (time) => `あと ${time}ほど`,
  stopsAt: (time) => `${time}で打ち切り`,
  total: "合計",
  cached: (tokens) => `${tokens}を再利用`,
  whyQueue: "モデルは質問に一つずつ答えます。先に届いた質問があります。",
  whyLoad: "モデルがまだメモリ上にありません。読み込みは一度だけで、次の回答からは早く始まります。",
  whyPrompt: "回答の前に、質問とこれまでの会話をすべて読む必要があります。",
  whyPromptNothingCached: "再利用できる部分がないため、最初から読んでいます。",
  thinking: "思考",
  thinkingNow: "考えています…",

  // after
  responseTime: "応答時間",
  responseDetail: (browser, server) =>
    `送信から最後の文字の表示まで ${browser}、うちサーバー内 ${server}`,
  why: "なぜこの時間?",
  whySlow: (load) => `なぜ遅かった? 読み込み ${load}`,
  inputTokens: (tokens) => `入力 ${tokens}`,
  cutAtLimit: "長さの上限で終了",
  cutHint: "回答が、この会話に設定した長さの上限に達しました。",
  raiseLimit: "上限を変える",
  stopped: "この回答は途中で停止しました。",
  copyAnswer: "回答をコピー",
  copyCode: "コードをコピー",
  code: "コード",
  picture: (words) => `[画像: ${words}]`,
  regenerate: "再生成",
  edit: "編集",
  editQuestion: "最後の質問を編集",
  thumbUp: "よい回答",
  thumbDown: "よくない回答",
  voteFailed: "評価を保存できませんでした。もう一度お試しください。",
  earlierAnswer: "前の回答",
  laterAnswer: "次の回答",
  answerOf: (shown, all) => `${shown} / ${all}`,
  answered: "回答が終わりました。",
  answerStopped: "回答を停止しました。",
  answerFailed: "回答に失敗しました。",

  // errors
  retry: "もう一度試す",
  retryAfter: (time) => `${time}後が目安です`,
  partialKept: "それまでに書かれた部分は上に残してあります。",
  details: "詳細",
  inPhase: (phase) => `段階: ${phase}`,
  errors: {
    no_message: ["メッセージがありませんでした。", "入力してから、もう一度送信してください。"],
    bad_json: [
      "サーバーがリクエストを読めませんでした。",
      "途中で内容が変わったようです。ページを再読み込みして、もう一度お試しください。",
    ],
    bad_field: [
      "サーバーが設定の一つを受け付けませんでした。",
      "設定の温度と長さの上限を確かめてください。",
    ],
    too_large: ["質問とこれまでの会話が大きすぎます。", "短くするか、新しい会話を始めてください。"],
    bad_utf8: [
      "読めない文字が含まれていました。",
      "コピーした文字が壊れているかもしれません。その部分を手で入力し直してください。",
    ],
    not_found: [
      "サーバーにこの宛先がありません。",
      "別のモデルを選ぶか、ページを再読み込みしてください。サーバーの版が違うかもしれません。",
    ],
    method_not_allowed: [
      "この宛先では質問を受け付けていません。",
      "ページを再読み込みしてください。サーバーの版が違うかもしれません。",
    ],
    timeout: [
      "回答が終わる前に、制限時間に達しました。",
      "もう一度聞いてみてください。読み込み済みのモデルはすぐに始まります。たびたび起きるときは、回答の長さの上限を下げるか、サーバーの制限時間を延ばしてください。",
    ],
    queue_full: [
      "順番待ちがいっぱいです。",
      "少し待ってから、もう一度お試しください。内容は失われていません。",
    ],
    runtime_down: [
      "モデルを動かすプログラムが応答しません。",
      "起動した直後なら少しお待ちください。「andon doctor」で足りないものが分かります。",
    ],
    model_missing: [
      "このモデルは入っていません。",
      "上で別のモデルを選ぶか、インストールしてからもう一度お試しください。",
    ],
    context_exceeded: [
      "会話が、モデルの一度に読める長さを超えました。",
      "新しい会話を始めるか、質問やシステムプロンプトを短くしてください。",
    ],
    out_of_memory: [
      "このモデルにはメモリが足りませんでした。",
      "ほかのプログラムを閉じるか、小さいモデルを選ぶか、会話を短くしてください。",
    ],
    runtime_failed: [
      "モデルが処理の途中で失敗しました。",
      "もう一度お試しください。どこまで進んだかはトレースで分かります。",
    ],
    stream_broken: [
      "回答の途中で接続が切れました。",
      "もう一度お試しください。サーバーで起きたことはトレースで分かります。",
    ],
    proxy_failed: [
      "モデルの手前のプロキシが失敗しました。",
      "動いているか確かめ(「andon doctor」)、もう一度お試しください。",
    ],
    unauthorized: [
      "サーバーがパスワードを求めています。",
      "ページを再読み込みしてサインインしてください。",
    ],
    forbidden: [
      "サーバーがこのページを拒みました。",
      "サーバーの起動時に表示されたアドレスで開いてください。",
    ],
    body_timeout: [
      "質問が時間内にサーバーへ届きませんでした。",
      "接続が遅いか、切れたようです。もう一度お試しください。",
    ],
    client_gone: [
      "サーバーとの接続が閉じられました。",
      "もう一度お試しください。どこまで進んだかはトレースで分かります。",
    ],
    bad_request: [
      "サーバーがリクエストを読めませんでした。",
      "ページを再読み込みしてください。サーバーの版が違うかもしれません。",
    ],
    range_too_long: ["期間が長すぎます。", "短い期間を選んでください。"],
    too_much: ["この問い合わせは負荷が大きすぎます", "期間を短くするか、行数を減らしてください。"],
    busy: ["サーバーで別の処理が行われています。", "少し待って、もう一度お試しください。"],
    store_unavailable: [
      "サーバーが記録を読み書きできません。",
      "ディスクの空きを確かめて(「andon doctor」)、もう一度お試しください。",
    ],
    internal: [
      "サーバーの処理が失敗しました。",
      "もう一度お試しください。詳しくはサーバーのログにあります。",
    ],
    network: [
      "サーバーに接続できません。",
      "「andon up」が動いているか確かめて、もう一度お試しください。会話はこのブラウザーに残っています。",
    ],
    unexpected: [
      "予期しないことが起きました。",
      "もう一度お試しください。繰り返すときは、詳細が手がかりになります。",
    ],
  },
  timeoutAfter: (time) => `制限時間の ${time}で打ち切りました。`,
  startNew: "新しい会話",

  // the runtime's chip
  runtimeDown: "モデルサーバーに接続できません",
  serverGone: "サーバーに接続できません",
  modelCount: (count) => `${count} モデル`,
  modelOne: "1 モデル",
  memory: "メモリ",
  ofMemory: (used, total) => `${used} / ${total}`,
  builtin: "内蔵ランタイム",

  // export
  exportWords: {
    question: "質問",
    answer: "回答",
    system: "システムプロンプト",
    thinking: "思考",
    stopped: "途中で停止",
    failed: "失敗",
  },
};
