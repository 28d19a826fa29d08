// Parts of a machine for the tests of this folder: steps of ten seconds from second 1000 on.

import type { DevicePoint, DeviceUse } from "../../api/types";
import { timeline } from "../../overview/model/timeline";
import { SECOND } from "../../traces/model/testing";
import { NOTHING_TOLD } from "./devices";

const STEP = 10;

export const LINE = timeline({
  from_ns: 1000 * SECOND,
  to_ns: 1040 * SECOND,
  step_ns: STEP * SECOND,
});

export const point = (step: number, more: Partial<DevicePoint> = {}): DevicePoint => ({
  time_ns: (1000 + step * STEP) * SECOND,
  ...NOTHING_TOLD,
  ...more,
});

export const device = (
  kind: DeviceUse["kind"],
  id: string,
  points: DevicePoint[],
  name: string | null = null,
): DeviceUse => ({ kind, id, name, points, memory_bandwidth_bytes_per_s: null });
