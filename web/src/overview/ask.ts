// All that the overview asks of the server, for one and the same stretch of time.

import { getAggregate, getHeatMap } from "../api/client";
import type { Aggregation, HeatMap } from "../api/types";
import { rfc3339 } from "../format/time";
import type { Stretch } from "../traces/route";

/** As many as the server hands out: what is beyond them is one line. */
const TOP_MODELS = 10;
/** There are fewer causes than this. */
const TOP_CAUSES = 50;
const TOP_SERVICES = 10;
const HEAT_ROWS = 24;

export interface Overview {
  /** The times that were asked for. */
  asked: Stretch;
  /** All calls, over time. */
  calls: Aggregation;
  models: Aggregation;
  causes: Aggregation;
  services: Aggregation;
  heat: HeatMap;
}

/** `points` is the greatest number of steps that the charts have room for. */
export async function askOverview(
  asked: Stretch,
  q: string,
  points: number,
  signal: AbortSignal,
): Promise<Overview> {
  const times = { from: rfc3339(asked.fromMs * 1e6), to: rfc3339(asked.toMs * 1e6), q };
  const of = "calls" as const;
  const [calls, models, causes, services, heat] = await Promise.all([
    getAggregate({ ...times, of, points }, signal),
    getAggregate({ ...times, of, by: "model", points: 0, top: TOP_MODELS }, signal),
    getAggregate({ ...times, of, by: "cause", points: 0, top: TOP_CAUSES }, signal),
    // A trace in the list bears the name of a service at its top, so these lead to their traces.
    getAggregate({ ...times, of: "roots", by: "service", points: 0, top: TOP_SERVICES }, signal),
    getHeatMap({ ...times, of, points, rows: HEAT_ROWS }, signal),
  ]);
  return { asked, calls, models, causes, services, heat };
}

export function isPartial(overview: Overview): boolean {
  const { calls, models, causes, services, heat } = overview;
  return [calls, models, causes, services, heat].some((answer) => answer.is_partial);
}
