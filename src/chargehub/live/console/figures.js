// Numbers and durations as people read them. The hub sends W, Wh and times; it never sends sentences.

import { say } from "./words.js";

const DASH = "–";

/** A gun's power: "118", "7.4", "0". */
export function kilowatts(watts) {
  if (watts === null) return DASH;
  const kw = watts / 1000;
  return kw === 0 || kw >= 9.95 ? kw.toFixed(0) : kw.toFixed(1);
}

export function kilowattHours(wattHours) {
  if (wattHours === null) return DASH;
  const kwh = wattHours / 1000;
  return kwh >= 9.95 ? kwh.toFixed(0) : kwh.toFixed(1);
}

/** A total with its unit: ["6.12", "MW"]. */
export function scaled(value, unit) {
  if (value >= 1e6) return [(value / 1e6).toFixed(value >= 1e8 ? 1 : 2), "M" + unit];
  return [(value / 1e3).toFixed(value >= 1e4 ? 0 : 1), "k" + unit];
}

export function percent(value) {
  return value === null ? DASH : `${Math.round(value)}`;
}

/** How long, in one unit: "24 min", "3 h". Nothing under a minute is told apart. */
export function duration(milliseconds) {
  const minutes = Math.max(0, Math.floor(milliseconds / 60_000));
  if (minutes < 100) return say("minutes", { n: minutes });
  if (minutes < 48 * 60) return say("hours", { n: Math.round(minutes / 60) });
  return say("days", { n: Math.round(minutes / 1440) });
}
