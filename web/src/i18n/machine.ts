import { machine as en } from "./en/machine";
import { machine as ja } from "./ja/machine";
import { area } from "./language.svelte";

export const machineText = area(en, ja);
