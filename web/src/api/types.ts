/**
 * The shapes of Andon's HTTP API under the names that the pages use. All of them come from
 * `schema.ts`, which `npm run api` makes from the server's own description; nothing is written here
 * by hand. Ids are lower-case hex, times UTC nanoseconds as numbers, unknown is null.
 */
import type { components, operations } from "./schema";

type Schemas = components["schemas"];

/** Why a request failed: the codes of the chat routes and those of the API. */
export type ErrorCode = Schemas["ErrorCode"] | Schemas["ApiErrorCode"];
/** What every failure has, and what a failed call to a model has beyond it. */
export type ApiError = { error: string; code: ErrorCode } & Partial<
  Omit<Schemas["ChatFailure"], "error" | "code">
>;

// ---- chat -----------------------------------------------------------------------------------

export type Phase = Schemas["Phase"];
export type ChatMessage = Schemas["Turn"];
export type ChatRequest = Schemas["ChatRequest"];
export type ChatReply = Schemas["ChatAnswer"];
export type ChatStart = Schemas["ChatStart"];
/** The events of a streamed answer by name. */
export type ChatEvents = Schemas["ChatEvents"];
export type PhaseReport = Schemas["PhaseEvent"];
export type CallTimings = Schemas["TimingsMs"];

// ---- models and status ----------------------------------------------------------------------

export type RuntimeInfo = Schemas["RuntimeFacts"];
export type RuntimeReply = Schemas["Runtime"];
export type RuntimesReply = Schemas["Runtimes"];
export type ModelInfo = Schemas["DiscoveredModel"];
export type RouteInfo = Schemas["RouteFacts"];
export type ModelsReply = Schemas["Models"];
export type StatusReply = Schemas["Status"];
export type IntakeReply = Schemas["IntakeState"];
export type IntakeDoor = Schemas["IntakeDoor"];
export type ConnectionsReply = Schemas["Connections"];
export type Connection = Schemas["Connection"];

// ---- traces ---------------------------------------------------------------------------------

export type SpanStatus = Schemas["SpanStatus"];
export type SpanKind = Schemas["SpanKind"];
export type LlmKind = Schemas["LlmKind"];
export type Cause = Schemas["Cause"];
export type Timings = Schemas["Timings"];
export type AttributeValue = Schemas["AttributeValue"];
export type Span = Schemas["Span"];
export type Content = Schemas["Content"];
export type Evaluation = Schemas["Evaluation"];
export type TraceReply = Schemas["WholeTrace"];
export type ClockShift = Schemas["ClockShift"];
export type SpanRunsOn = Schemas["SpanRunsOn"];
export type TraceSummary = Schemas["TraceSummary"];
type ListQuery = NonNullable<operations["list"]["parameters"]["query"]>;
/** What is null is not asked for. */
export type TracesQuery = { [Name in keyof ListQuery]: ListQuery[Name] | null };
export type TracesReply = Schemas["TracePage"];
export type Facet = Schemas["FacetCount"];
export type FacetName = keyof Schemas["Facets"];

export type HostSample = Schemas["HostSample"];
export type HostProcess = Schemas["ProcessCurve"];
export type Explanation = Schemas["Explanation"];
export type TraceHostReply = Schemas["TraceHost"];
export type LiveCall = Schemas["LiveCallNow"];
export type KeptReply = Schemas["KeptModels"];
export type KeptModel = Schemas["Kept"];
export type ModelOf = Schemas["ModelOf"];
export type ToKeep = Schemas["ToKeep"];
/** The hours of some days at which a model is kept. */
export type KeptHours = Schemas["Hours"];
export type LiveReply = Schemas["LiveCalls"];
/** The event `stored` of the traces' stream. */
export type StoredTraces = Schemas["StoredTraces"];

// ---- numbers about spans --------------------------------------------------------------------

export type Figures = Schemas["Figures"];
export type Distribution = Schemas["Distribution"];
export type Point = Schemas["Point"];
export type Group = Schemas["Group"];
export type Aggregation = Schemas["Aggregation"];
export type AggregateQuery = NonNullable<operations["aggregate"]["parameters"]["query"]>;
export type HeatMap = Schemas["HeatMap"];
export type HeatMapQuery = NonNullable<operations["heat_map"]["parameters"]["query"]>;

// ---- the machine ----------------------------------------------------------------------------

export type MachineAnswer = Schemas["Machine"];
export type Machine = Omit<MachineAnswer, "devices"> & { devices: DeviceUse[] };
export type MachineQuery = NonNullable<operations["machine"]["parameters"]["query"]>;
export type ProcessUse = Schemas["ProcessUse"];
export type DeviceAnswer = Schemas["DeviceUse"];
type PointAnswer = Schemas["DevicePoint"];
/** The answer leaves out what is unknown, which is most of it; the pages have null for that. */
export type DevicePoint = { time_ns: number } & {
  [Figure in Exclude<keyof PointAnswer, "time_ns">]: number | null;
};
export type DeviceUse = Omit<DeviceAnswer, "points"> & { points: DevicePoint[] };
export type DeviceSample = Schemas["DeviceSample"];
export type KnownHost = Schemas["KnownHost"];
export type KnownHosts = Schemas["KnownHosts"];
export type ModelStay = Schemas["ModelStay"];
export type ModelStays = Schemas["ModelStays"];
export type StaysQuery = NonNullable<operations["stays"]["parameters"]["query"]>;

// ---- what the machine can do ----------------------------------------------------------------

export type CapacityReply = Schemas["Capacity"];
export type CapacityQuery = NonNullable<operations["capacity"]["parameters"]["query"]>;
export type ModelCapacity = Schemas["ModelCapacity"];
export type CurvePoint = Schemas["CurvePoint"];
export type CapacityCell = Schemas["Cell"];
export type CacheState = Schemas["CacheState"];
export type Spread = Schemas["Spread"];
export type Measured = Schemas["Measured"];
export type People = Schemas["People"];
export type PeoplePoint = Schemas["PeoplePoint"];
export type PeopleQuery = NonNullable<operations["people"]["parameters"]["query"]>;
export type Lack = Schemas["Lack"];
export type Check = Schemas["Check"];
export type Fared = Schemas["Fared"];
export type WhatIf = Schemas["WhatIf"];
export type WhatIfQuery = NonNullable<operations["what_if"]["parameters"]["query"]>;

// ---- feedback and the browser's own spans ---------------------------------------------------

export type FeedbackRequest = Schemas["Feedback"];
export type FeedbackReply = Schemas["FeedbackTaken"];
export type Note = Schemas["Note"];
export type NotesReply = Schemas["Notes"];
export type RumAction = Schemas["RumAction"];
