// What a reader asks of a runtime, as the page's address holds it beside the times.

export const SPEEDS = ["written", "read"] as const;
/** Which of the two is drawn. */
export type Speed = (typeof SPEEDS)[number];

/** How long a model may be kept, as the server reads it; `-1` is for ever. */
export const KEEPS = ["5m", "30m", "2h", "-1"] as const;
export type Keep = (typeof KEEPS)[number];

export interface Bounds {
  least: number;
  most: number;
  /** Only whole numbers. */
  whole: boolean;
}

/** What the server takes; beyond it there is no answer. */
export const WAIT: Bounds = { least: 0.1, most: 600, whole: false };
export const PAUSE: Bounds = { least: 0.1, most: 3600, whole: false };
export const PARALLEL: Bounds = { least: 1, most: 64, whole: true };
export const THREADS: Bounds = { least: 1, most: 1024, whole: true };

/** The server's own where nothing is asked. */
export const USUAL_WAIT_S = 10;

/** What is null is as it was recorded. */
export interface Question {
  /** Null for the one with most calls. */
  runtime: string | null;
  speed: Speed;
  /** Seconds within which answers are to begin; null for the usual ones. */
  wait: number | null;
  /** Seconds between an answer and the next question. */
  pause: number | null;
  /** Calls at once, for people. */
  parallel: number | null;
  keep: Keep | null;
  /** Calls at once, in what would be. */
  slots: number | null;
  model: string | null;
  threads: number | null;
  /** The two models that are compared; null for those with most calls. */
  one: string | null;
  other: string | null;
}

export const NO_QUESTION: Question = {
  runtime: null,
  speed: "written",
  wait: null,
  pause: null,
  parallel: null,
  keep: null,
  slots: null,
  model: null,
  threads: null,
  one: null,
  other: null,
};

export function isWithin(value: number, { least, most, whole }: Bounds): boolean {
  return value >= least && value <= most && (!whole || Number.isInteger(value));
}

/** What somebody typed: null for nothing, undefined for no number that can be asked for. */
export function typed(text: string, bounds: Bounds): number | null | undefined {
  const trimmed = text.normalize("NFKC").trim();
  if (trimmed === "") return null;
  // Only what is written as a number: `Number` takes «0x10» and «1e3» too.
  const value = /^\d+(\.\d+)?$|^\.\d+$/.test(trimmed) ? Number(trimmed) : NaN;
  return isWithin(value, bounds) ? value : undefined;
}

const NUMBERS = { wait: WAIT, pause: PAUSE, parallel: PARALLEL, slots: PARALLEL, threads: THREADS };
const NAMES = ["runtime", "model", "one", "other"] as const;
type Numbers = { [Name in keyof typeof NUMBERS]: number | null };
type Names = { [Name in (typeof NAMES)[number]]: string | null };

export function readQuestion(params: URLSearchParams): Question {
  const numbers = Object.entries(NUMBERS).map(([name, bounds]) => [
    name,
    typed(params.get(name) ?? "", bounds) ?? null,
  ]);
  const names = NAMES.map((name) => [name, params.get(name) || null]);
  return {
    ...(Object.fromEntries(numbers) as Numbers),
    ...(Object.fromEntries(names) as Names),
    speed: SPEEDS.find((speed) => speed === params.get("speed")) ?? NO_QUESTION.speed,
    keep: KEEPS.find((keep) => keep === params.get("keep")) ?? null,
  };
}

/** Only what differs from the usual one. */
export function writeQuestion(params: URLSearchParams, question: Question): void {
  for (const [name, value] of Object.entries(question)) {
    const usual = name === "speed" ? NO_QUESTION.speed : name === "wait" ? USUAL_WAIT_S : null;
    if (value !== null && value !== usual) params.set(name, String(value));
  }
}
