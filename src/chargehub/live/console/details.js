// The panel with everything known of one gun; it floats beside its cell, on a phone at the bottom.

import { element, setIcon, setText } from "./elements.js";
import { duration, kilowattHours, kilowatts, percent } from "./figures.js";
import { stateOf } from "./hub.js";
import { say } from "./words.js";

const GAP = 8;

export class Details {
  constructor(root) {
    this.root = root;
    this.title = root.querySelector("#details-title");
    this.state = root.querySelector("#details-state");
    this.list = root.querySelector("#details-list");
    this.gunId = null;
  }

  open(gunId, hub, anchor) {
    this.gunId = gunId;
    this.anchor = anchor;
    this.root.hidden = false;
    this.render(hub);
    this.place();
  }

  close() {
    this.root.hidden = true;
    this.gunId = null;
  }

  render(hub) {
    if (this.gunId === null) return;
    const gun = hub.guns.get(this.gunId);
    if (!gun) {
      this.close();
      return;
    }
    const state = stateOf(gun);
    setText(this.title, say("gun.title", { station: gun.station.label, gun: gun.evse_no }));
    this.root.dataset.state = state;
    setIcon(this.state.querySelector("svg"), state);
    setText(this.state.querySelector("span"), say(state));
    const rows = factsOf(gun, state, hub.now());
    const wanted = rows.map(([key]) => key).join();
    if (this.list.dataset.rows !== wanted + document.documentElement.lang) {
      this.list.dataset.rows = wanted + document.documentElement.lang;
      this.list.replaceChildren(...rows.map(([key]) =>
        element("div", "", element("dt", "", say(`detail.${key}`)), element("dd"))));
    }
    rows.forEach(([, value], index) => setText(this.list.children[index].lastChild, value));
  }

  /** Beside the cell where there is room, never over it; the style sheet decides on a phone. */
  place() {
    const from = this.anchor.getBoundingClientRect();
    const own = this.root.getBoundingClientRect();
    if (getComputedStyle(this.root).position === "fixed") {
      scrollBy({ top: Math.max(0, from.bottom + GAP - own.top) });
      return;
    }
    const fitsRight = from.right + GAP + own.width < innerWidth - GAP;
    const left = fitsRight ? from.right + GAP : from.left - GAP - own.width;
    const top = Math.min(from.top, innerHeight - own.height - GAP);
    this.root.style.setProperty("--left", `${Math.max(GAP, left) + scrollX}px`);
    this.root.style.setProperty("--top", `${Math.max(GAP, top) + scrollY}px`);
  }
}

function factsOf(gun, state, now) {
  const rows = [];
  const add = (key, value) => value !== null && value !== "" && rows.push([key, value]);
  const ago = (time) => (time === null ? null : duration(now - Date.parse(time)));
  const { station } = gun;
  if (state === "Offline") {
    add("offline_for", ago(station.since));
    add("last_state", say(gun.status));
  } else if (state !== "Charging") {
    add("state_since", ago(gun.since));
  }
  add("error", gun.error === "NoError" ? null : gun.error);
  add("station_error", station.error === "NoError" ? null : station.error);
  if (gun.transaction_id !== null) {
    add("power", gun.power_w === null ? null : `${kilowatts(gun.power_w)} kW`);
    add("soc", gun.soc_percent === null ? null : `${percent(gun.soc_percent)} %`);
    add("energy", gun.energy_wh === null ? null : `${kilowattHours(gun.energy_wh)} kWh`);
    add("charging_for", ago(gun.started_at));
    add("transaction", `${gun.transaction_id}`);
  }
  add("max_power", `${kilowatts(gun.max_power_w)} kW`);
  add("gun_code", gun.gun_code);
  add("identity", station.identity);
  return rows;
}
