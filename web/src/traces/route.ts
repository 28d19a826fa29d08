// The dashboard's addresses. A link reproduces the view, so everything that a view shows is read
// from the address and written back to it; nothing here touches the browser.

import {
  NO_QUESTION,
  readQuestion,
  writeQuestion,
  type Question,
} from "../capacity/model/question";

export const BASE = "/andon/";

export const RANGES = ["15m", "1h", "24h", "7d", "all"] as const;
export type Range = (typeof RANGES)[number];
export const DEFAULT_RANGE: Range = "24h";

export const OVERVIEW_RANGES = ["1h", "24h", "7d", "30d"] as const;
export type OverviewRange = (typeof OVERVIEW_RANGES)[number];

export const MACHINE_RANGES = ["15m", "1h", "24h", "7d"] as const;
export type MachineRange = (typeof MACHINE_RANGES)[number];

export const CAPACITY_RANGES = ["24h", "7d", "30d"] as const;
export type CapacityRange = (typeof CAPACITY_RANGES)[number];

export const TABS = [
  "io",
  "overview",
  "attributes",
  "infrastructure",
  "processes",
  "feedback",
  "json",
] as const;
export type Tab = (typeof TABS)[number];

/** A fixed stretch of time in milliseconds since 1970; set by dragging over a chart. */
export interface Stretch {
  fromMs: number;
  toMs: number;
}

export interface ListRoute {
  page: "list";
  q: string;
  range: Range;
  /** Holds instead of `range` when set. */
  stretch: Stretch | null;
}

export interface OverviewRoute {
  page: "overview";
  q: string;
  range: OverviewRange;
  /** Holds instead of `range` when set. */
  stretch: Stretch | null;
}

export interface MachineRoute {
  page: "machine";
  /** Another machine that sends samples, by its name; null for the one that Andon runs on. */
  host: string | null;
  range: MachineRange;
  /** Holds instead of `range` when set. */
  stretch: Stretch | null;
}

export interface CapacityRoute {
  page: "capacity";
  range: CapacityRange;
  /** Holds instead of `range` when set. */
  stretch: Stretch | null;
  question: Question;
}

/** A page that is of a time, up to now or between two moments. */
export type TimedRoute = Pick<OverviewRoute | MachineRoute | CapacityRoute, "range" | "stretch">;

export interface TraceRoute {
  page: "trace";
  traceId: string;
  spanId: string | null;
  tab: Tab;
}

export interface RuntimesRoute {
  page: "runtimes";
}

export interface ConnectRoute {
  page: "connect";
  /** The app whose lines are shown; null for the first one. */
  app: string | null;
}

export interface UnknownRoute {
  page: "unknown";
  path: string;
}

/** A page that there is. */
export type KnownRoute =
  | OverviewRoute
  | ListRoute
  | MachineRoute
  | CapacityRoute
  | TraceRoute
  | RuntimesRoute
  | ConnectRoute;
export type Route = KnownRoute | UnknownRoute;

export const EMPTY_LIST: ListRoute = { page: "list", q: "", range: DEFAULT_RANGE, stretch: null };

export const EMPTY_OVERVIEW: OverviewRoute = {
  page: "overview",
  q: "",
  range: DEFAULT_RANGE,
  stretch: null,
};

export const EMPTY_MACHINE: MachineRoute = {
  page: "machine",
  host: null,
  range: "15m",
  stretch: null,
};

export const EMPTY_CAPACITY: CapacityRoute = {
  page: "capacity",
  range: "7d",
  stretch: null,
  question: NO_QUESTION,
};

const TRACE_PATH = /^traces\/([0-9a-f]{32})$/i;
const SPAN_ID = /^[0-9a-f]{16}$/i;

function oneOf<T extends string>(known: readonly T[], given: string | null, otherwise: T): T {
  return known.find((value) => value === given) ?? otherwise;
}

function readStretch(params: URLSearchParams): Stretch | null {
  const fromMs = Date.parse(params.get("from") ?? "");
  const toMs = Date.parse(params.get("to") ?? "");
  return fromMs < toMs ? { fromMs, toMs } : null;
}

/** Takes `location` or a link. */
export function parseRoute(url: { pathname: string; search: string }): Route {
  const path = url.pathname.startsWith(BASE) ? url.pathname.slice(BASE.length) : "";
  const params = new URLSearchParams(url.search);
  const trace = TRACE_PATH.exec(path.replace(/\/$/, ""));
  if (trace?.[1]) {
    const span = params.get("span");
    return {
      page: "trace",
      traceId: trace[1].toLowerCase(),
      spanId: span && SPAN_ID.test(span) ? span.toLowerCase() : null,
      tab: oneOf(TABS, params.get("tab"), "io"),
    };
  }
  if (/^overview\/?$/.test(path)) {
    return {
      page: "overview",
      q: params.get("q") ?? "",
      range: oneOf(OVERVIEW_RANGES, params.get("range"), EMPTY_OVERVIEW.range),
      stretch: readStretch(params),
    };
  }
  if (/^machine\/?$/.test(path)) {
    return {
      page: "machine",
      // An empty name would be nobody's.
      host: params.get("host") || null,
      range: oneOf(MACHINE_RANGES, params.get("range"), EMPTY_MACHINE.range),
      stretch: readStretch(params),
    };
  }
  if (/^capacity\/?$/.test(path)) {
    return {
      page: "capacity",
      range: oneOf(CAPACITY_RANGES, params.get("range"), EMPTY_CAPACITY.range),
      stretch: readStretch(params),
      question: readQuestion(params),
    };
  }
  if (/^runtimes\/?$/.test(path)) return { page: "runtimes" };
  if (/^connect\/?$/.test(path)) return { page: "connect", app: params.get("app") };
  if (path !== "" && path !== "index.html" && !/^traces\/?$/.test(path)) {
    return { page: "unknown", path: url.pathname };
  }
  return {
    page: "list",
    q: params.get("q") ?? "",
    range: oneOf(RANGES, params.get("range"), DEFAULT_RANGE),
    stretch: readStretch(params),
  };
}

const USUAL = {
  list: EMPTY_LIST.range,
  overview: EMPTY_OVERVIEW.range,
  machine: EMPTY_MACHINE.range,
  capacity: EMPTY_CAPACITY.range,
};

export function routeHref(route: KnownRoute): string {
  if (route.page === "runtimes") return `${BASE}runtimes`;
  const params = new URLSearchParams();
  if (route.page === "connect") {
    if (route.app) params.set("app", route.app);
    return params.size > 0 ? `${BASE}connect?${params.toString()}` : `${BASE}connect`;
  }
  if (route.page === "trace") {
    if (route.spanId) params.set("span", route.spanId);
    if (route.tab !== "io") params.set("tab", route.tab);
  } else {
    if ("q" in route && route.q) params.set("q", route.q);
    if (route.page === "machine" && route.host) params.set("host", route.host);
    const usual = USUAL[route.page];
    if (route.stretch) {
      params.set("from", new Date(route.stretch.fromMs).toISOString());
      params.set("to", new Date(route.stretch.toMs).toISOString());
    } else if (route.range !== usual) {
      params.set("range", route.range);
    }
    if (route.page === "capacity") writeQuestion(params, route.question);
  }
  const name = route.page === "list" ? "traces" : route.page;
  const path = route.page === "trace" ? `${BASE}traces/${route.traceId}` : `${BASE}${name}`;
  const query = params.toString();
  return query ? `${path}?${query}` : path;
}

export function traceHref(traceId: string, spanId: string | null = null): string {
  return routeHref({ page: "trace", traceId, spanId, tab: "io" });
}

const HOUR_MS = 3_600_000;
const RANGE_MS: Record<Exclude<Range | OverviewRange, "all">, number> = {
  "15m": 15 * 60_000,
  "1h": HOUR_MS,
  "24h": 86_400_000,
  "7d": 7 * 86_400_000,
  "30d": 30 * 86_400_000,
};

/** The times to ask the server for; null where there is no bound. */
export function askedTimes(
  route: ListRoute,
  nowMs: number,
): { fromMs: number | null; toMs: number | null } {
  if (route.stretch) return { fromMs: route.stretch.fromMs, toMs: route.stretch.toMs };
  if (route.range === "all") return { fromMs: null, toMs: null };
  return { fromMs: nowMs - RANGE_MS[route.range], toMs: null };
}

/**
 * The times of a page of figures. They end at a moment, so that all questions of a page mean the
 * same.
 */
export function endedTimes(route: TimedRoute, nowMs: number): Stretch {
  if (route.stretch) return route.stretch;
  const fromMs = nowMs - RANGE_MS[route.range];
  // Days begin with an hour: the server has whole hours added up already.
  const isLong = RANGE_MS[route.range] > RANGE_MS["24h"];
  return { fromMs: isLong ? fromMs - (fromMs % HOUR_MS) : fromMs, toMs: nowMs };
}
