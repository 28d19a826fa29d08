// Why something could not be loaded, in words.

import type { ApiFailure } from "../api/client";
import type { traces } from "../i18n/en/traces";

export function failureText(failure: ApiFailure, t: typeof traces): string {
  if (failure.code === "network") return t.failed.network;
  return t.errors[failure.code] ?? failure.message;
}
