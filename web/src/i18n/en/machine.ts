export const machine = {
  title: "Machine",
  loading: "Reading what the machine did …",
  failed: "What the machine did could not be loaded",
  partial: "May be incomplete: a part of what is kept could not be read, or was too much.",
  retry: "Try again",
  traces: "Traces of this time",

  ranges: { "15m": "15 min", "1h": "1 h", "24h": "24 h", "7d": "7 days" },

  empty: {
    title: "The machine was not looked at in this time",
    text: "Andon takes a sample once a second for as long as it runs.",
    since: (moment: string): string => `This time it has been running since ${moment}.`,
    hostTitle: (name: string): string => `Nothing came from ${name} in this time`,
    hostText: "A machine sends samples for as long as andon host --forward runs on it.",
    now: "Look at the last 15 min",
  },

  machines: {
    label: "Machine",
    here: "This machine",
    silent: (name: string, since: string): string => `${name} (last heard of ${since})`,
    lastHeard: (name: string, moment: string): string =>
      `${name} was last heard of at ${moment}; nothing has come since.`,
    clock: (name: string, off: string, ahead: boolean): string =>
      `The clock of ${name} is ${off} ${ahead ? "ahead" : "behind"}. What it did is shown at the times of its own clock.`,
  },

  oom: (count: string, one: boolean, last: string): string =>
    `The kernel ended ${one ? "a process" : `${count} processes`} for want of memory in this time${one ? ", at" : ", the last one at"} ${last}.`,

  facts: {
    now: "The machine now",
    end: "The machine at the end of this time",
    cpu: "CPU",
    memory: "Memory",
    swap: "Swap",
    load: "Load",
    pressure: "Pressure",
    cores: "Cores",
    of: (part: string, total: string): string => `${part} of ${total}`,
    noSwap: "none",
    minute: "tasks, mean of a minute",
    waits: (cpu: string, memory: string, disk: string): string =>
      `CPU ${cpu} · memory ${memory} · disk ${disk}`,
    memoryTotal: (total: string): string => `${total} of memory`,
  },

  charts: {
    label: "Over time",
    heat: "Heat and energy",
    hint: "means of this time; drag to narrow it",
    titles: {
      cpu: "CPU, cores",
      memory: "Memory",
      pressure: "Time spent waiting for",
      disk: "Disk",
      network: "Network",
      swap: "Swap",
      temperatures: "Temperatures",
      energy: "Power drawn",
      gpuUse: "Use",
      gpuMemory: "Memory",
      gpuPower: "Power",
      gpuTemperature: "Temperature",
    },
    series: {
      user: "programs",
      system: "kernel",
      steal: "stolen",
      iowait: "waiting for disk",
      peak: "peak",
      used: "used",
      cached: "file cache",
      cpu: "CPU",
      memory: "memory",
      disk: "disk",
      read: "read",
      write: "written",
      receive: "in",
      send: "out",
      swapIn: "in",
      swapOut: "out",
      power: "drawn",
      limit: "limit",
      mean: "mean",
    },
    cooler: (count: number): string =>
      count === 1 ? "One cooler sensor is not drawn." : `${count} cooler sensors are not drawn.`,
    weaker: (count: number): string =>
      count === 1
        ? "One meter that measured less is not drawn."
        : `${count} meters that measured less are not drawn.`,
    peaks: (values: string): string => `peak ${values}`,
  },

  cores: {
    title: "Each core",
    head: "Core",
    core: (number: number): string => `core ${number}`,
    busiest: (core: string, share: string): string => `busiest: ${core}, ${share}`,
    words: (mean: string, peak: string): string => `mean ${mean}, peak ${peak}`,
    held: (cores: string): string => `Heat held the clock down: ${cores}.`,
    heldCore: (core: string, share: string): string => `${core} for ${share} of the time`,
    more: (count: number): string => `${count} more`,
    and: ", ",
  },

  stays: {
    title: "Models in memory",
    hint: "looked at every 5 s",
    head: "Model",
    lane: (model: string, runtime: string): string => `${model} · ${runtime}`,
    before: (moment: string): string => `before ${moment}`,
    times: (from: string, to: string): string => `${from} – ${to}`,
    now: "now",
    beyond: "beyond this time",
    lastSeen: (moment: string): string => `last seen ${moment}`,
    atLeast: (length: string): string => `at least ${length}`,
    context: (tokens: string): string => `context ${tokens}`,
    here: "In memory",
    until: (moment: string): string => `Stays until ${moment}, longer if it is called`,
    never: "Stays until it is let go",
    reasons: {
      expired: "Idle until its time was up",
      evicted: (other: string | null): string => `Pushed out by ${other ?? "another model"}`,
      runtime_gone: "The runtime ended",
      anew: "Loaded anew, with another context or share on the GPU",
      unknown: "It was let go, or its time was shorter",
      unseen: "Nobody saw it go",
    },
    more: (count: number): string => `${count} more model${count === 1 ? "" : "s"}`,
  },

  gpus: {
    throttled: (share: string): string => `heat or power held its clock down ${share} of the time`,
    more: (count: number): string => `${count} more GPU${count === 1 ? "" : "s"}`,
  },

  processes: {
    title: "Processes",
    note: "mean and peak over this time",
    order: "Sort",
    orders: { cpu: "by CPU", memory: "by memory" },
    name: "Process",
    cpu: "CPU, cores",
    cpuPeak: "peak",
    memory: "Memory, peak",
    gpu: "GPU memory, peak",
    faults: "Pages from disk/s",
    threads: "Threads",
    seen: "Seen",
    pid: (pid: number): string => `pid ${pid}`,
    none: "No process was sampled in this time.",
    more: (rows: number): string => `${rows} more`,
    fewer: "Fewer",
  },
};
