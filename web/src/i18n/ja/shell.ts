import type { shell as en } from "../en/shell";

export const shell: typeof en = {
  brand: "Andon",
  skip: "本文へ移動",
  navigation: "ページ",
  chat: "チャット",
  overview: "概要",
  traces: "トレース",
  machine: "マシン",
  capacity: "余力",
  runtimes: "ランタイム",
  connect: "接続",
  language: "表示言語: 日本語。英語に切り替える",
  otherLanguage: "English",
  theme: {
    auto: "テーマ: システムに合わせる",
    light: "テーマ: ライト",
    dark: "テーマ: ダーク",
  },
  copy: "コピー",
  copied: "コピーしました",
  copyFailed: "コピーできません",
};
