import type { machine as en } from "../en/machine";

export const machine: typeof en = {
  title: "マシン",
  loading: "マシンの記録を読み込んでいます…",
  failed: "マシンの記録を読み込めませんでした",
  partial: "一部の記録を読めなかったか、量が多すぎたため、不完全な可能性があります。",
  retry: "再試行",
  traces: "この時間のトレース",

  ranges: { "15m": "15 分", "1h": "1 時間", "24h": "24 時間", "7d": "7 日" },

  empty: {
    title: "この時間にマシンの計測値はありません",
    text: "計測は Andon の実行中に 1 秒ごとに行われます。",
    since: (moment) => `今回の起動は ${moment} です。`,
    now: "直近 15 分を見る",
  },

  oom: (count, one, last) =>
    one
      ? `この時間に、メモリ不足のためカーネルがプロセスを強制終了しました(${last})。`
      : `この時間に、メモリ不足のためカーネルが ${count} 個のプロセスを強制終了しました(最後は ${last})。`,

  facts: {
    now: "現在のマシン",
    end: "この時間の終わりのマシン",
    cpu: "CPU",
    memory: "メモリ",
    swap: "スワップ",
    load: "負荷",
    pressure: "待ち",
    cores: "コア数",
    of: (part, total) => `${part} / ${total}`,
    noSwap: "なし",
    minute: "タスク数、1 分平均",
    waits: (cpu, memory, disk) => `CPU ${cpu} · メモリ ${memory} · ディスク ${disk}`,
    memoryTotal: (total) => `メモリ ${total}`,
  },

  charts: {
    label: "時間ごとの推移",
    hint: "値はこの時間の平均。ドラッグで期間を絞り込み",
    titles: {
      cpu: "CPU(コア)",
      memory: "メモリ",
      pressure: "待ち時間の割合",
      disk: "ディスク",
      network: "ネットワーク",
      swap: "スワップ",
    },
    series: {
      user: "プログラム",
      system: "カーネル",
      steal: "スチール",
      iowait: "ディスク待ち",
      peak: "最大",
      used: "使用中",
      cached: "ファイルキャッシュ",
      cpu: "CPU",
      memory: "メモリ",
      disk: "ディスク",
      read: "読込",
      write: "書込",
      receive: "受信",
      send: "送信",
      swapIn: "読み戻し",
      swapOut: "退避",
    },
    peaks: (values) => `最大 ${values}`,
  },

  processes: {
    title: "プロセス",
    note: "この時間の平均と最大",
    order: "並べ替え",
    orders: { cpu: "CPU 順", memory: "メモリ順" },
    name: "プロセス",
    cpu: "CPU(コア)",
    cpuPeak: "最大",
    memory: "最大メモリ",
    threads: "スレッド",
    seen: "計測された時刻",
    pid: (pid) => `pid ${pid}`,
    none: "この時間に計測されたプロセスはありません。",
    more: (rows) => `ほか ${rows} 件を表示`,
    fewer: "閉じる",
  },
};
