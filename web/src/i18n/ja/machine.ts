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
    hostTitle: (name) => `この時間に ${name} から届いた計測値はありません`,
    hostText: "そのマシンで andon host --forward を実行している間、計測値が届きます。",
    now: "直近 15 分を見る",
  },

  machines: {
    label: "マシン",
    here: "このマシン",
    silent: (name, since) => `${name}(最終受信 ${since})`,
    lastHeard: (name, moment) =>
      `${name} からの最後の受信は ${moment} です。以後は届いていません。`,
    clock: (name, off, ahead) =>
      `${name} の時計は ${off}${ahead ? "進んで" : "遅れて"}います。時刻はそのマシンの時計で表示しています。`,
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
    heat: "温度と電力",
    hint: "値はこの時間の平均。ドラッグで期間を絞り込み",
    titles: {
      cpu: "CPU(コア)",
      memory: "メモリ",
      pressure: "待ち時間の割合",
      disk: "ディスク",
      network: "ネットワーク",
      swap: "スワップ",
      temperatures: "温度",
      energy: "消費電力",
      gpuUse: "使用率",
      gpuMemory: "メモリ",
      gpuPower: "電力",
      gpuTemperature: "温度",
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
      power: "消費",
      limit: "上限",
      mean: "平均",
    },
    cooler: (count) => `これより低温のセンサー ${count} 個は表示していません。`,
    weaker: (count) => `これより値の小さい電力計 ${count} 個は表示していません。`,
    peaks: (values) => `最大 ${values}`,
  },

  cores: {
    title: "コアごと",
    head: "コア",
    core: (number) => `コア ${number}`,
    busiest: (core, share) => `最も使用: ${core}、${share}`,
    words: (mean, peak) => `平均 ${mean}、最大 ${peak}`,
    held: (cores) => `熱のためクロックが抑えられました: ${cores}`,
    heldCore: (core, share) => `${core}(時間の ${share})`,
    more: (count) => `ほか ${count} 個`,
    and: "、",
  },

  gpus: {
    throttled: (share) => `時間の ${share} で、熱または電力のためクロックが抑えられました`,
    more: (count) => `ほか ${count} 個の GPU を表示`,
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
    gpu: "最大 GPU メモリ",
    faults: "ページ読込/秒",
    threads: "スレッド",
    seen: "計測された時刻",
    pid: (pid) => `pid ${pid}`,
    none: "この時間に計測されたプロセスはありません。",
    more: (rows) => `ほか ${rows} 件を表示`,
    fewer: "閉じる",
  },
};
