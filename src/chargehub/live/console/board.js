// The grid of stations: one card each, a cell per gun that fills up with the car's battery.

import { element, icon, setIcon, setText } from "./elements.js";
import { duration, kilowattHours, kilowatts, percent } from "./figures.js";
import { stateOf } from "./hub.js";
import { say } from "./words.js";

// States whose duration matters to whoever walks the hub.
const TIMED = new Set([
  "Preparing", "SuspendedEV", "SuspendedEVSE", "Finishing", "Occupied", "Reserved",
  "Unavailable", "Faulted", "Offline",
]);

export class BoardView {
  constructor(root, nothing, onSelect) {
    this.root = root;
    this.nothing = nothing;
    this.onSelect = onSelect;
    this.cells = new Map();
    this.cards = new Map();
    this.filter = null;
    root.addEventListener("keydown", (event) => this.onKey(event));
    root.addEventListener("click", (event) => {
      const cell = event.target.closest(".gun");
      if (!cell) return;
      this.focus(cell);
      this.onSelect(cell.dataset.gun);
    });
  }

  /** Draw all cards anew; only after a snapshot, or in another language. */
  build(hub) {
    const kept = this.root.querySelector(".gun[tabindex='0']")?.dataset.gun;
    const hadFocus = this.root.contains(document.activeElement);
    this.hub = hub;
    this.cells.clear();
    this.cards.clear();
    const stations = hub.stationsHere();
    const labels = shortLabels(stations);
    const cards = stations.map((station) => this.card(station, labels.get(station.id)));
    this.root.replaceChildren(...cards);
    this.renderAll();
    const cell = this.cells.get(kept) ?? this.cells.values().next().value;
    if (cell) {
      cell.root.tabIndex = 0;
      if (hadFocus) cell.root.focus();
    }
  }

  card(station, label) {
    station.label = label;
    const number = element("span", "number", label);
    number.setAttribute("role", "rowheader");
    number.title = station.name || station.identity;
    const note = element("span", "note");
    const head = element("div", "station-head", number, note);
    const guns = element("div", "guns", ...station.guns.map((gun) => this.cell(gun)));
    guns.setAttribute("role", "presentation");
    const root = element("article", "station", head, guns);
    root.setAttribute("role", "row");
    root.setAttribute("aria-label", say("station.label", { station: label }));
    this.cards.set(station.id, { root, note });
    return root;
  }

  cell(gun) {
    const parts = {
      icon: icon("Unknown"),
      main: element("span", "figure"),
      unit: element("span", "unit"),
      second: element("span", "second"),
      third: element("span", "third"),
    };
    const fill = element("span", "fill");
    const number = element("span", "gun-no", `${gun.evse_no}`);
    const top = element("span", "gun-top", parts.icon, number);
    const main = element("b", "main", parts.main, parts.unit);
    const root = element("div", "gun", fill, top, main, parts.second, parts.third);
    root.setAttribute("role", "gridcell");
    root.tabIndex = -1;
    root.dataset.gun = gun.id;
    this.cells.set(gun.id, { root, fill, ...parts });
    return root;
  }

  renderAll() {
    for (const id of this.cells.keys()) this.render(this.hub.guns.get(id));
    for (const id of this.cards.keys()) this.renderStation(this.hub.stations.get(id));
    this.applyFilter();
  }

  /** Draw the guns that changed, and their stations. */
  renderGuns(guns) {
    const stations = new Set();
    for (const gun of guns) {
      if (!this.cells.has(gun.id)) continue;
      this.render(gun);
      stations.add(gun.station);
    }
    stations.forEach((station) => this.renderStation(station));
    if (this.filter !== null) this.applyFilter();
  }

  render(gun) {
    const cell = this.cells.get(gun.id);
    const state = stateOf(gun);
    const { root } = cell;
    if (root.dataset.state !== state) {
      root.dataset.state = state;
      setIcon(cell.icon, state);
    }
    const flows = state === "Charging" && gun.power_w !== null;
    const inSession = gun.transaction_id !== null && state !== "Offline";
    setText(cell.main, flows ? kilowatts(gun.power_w) : say(state));
    setText(cell.unit, flows ? "kW" : "");
    const soc = inSession && gun.soc_percent !== null;
    setText(cell.second, soc ? `${percent(gun.soc_percent)}%` : "");
    setText(cell.third, inSession && gun.energy_wh !== null
      ? `${Math.round(gun.energy_wh / 1000)} kWh`
      : this.howLong(gun, state));
    root.classList.toggle("is-flowing", flows);
    root.classList.toggle("has-fill", soc);
    if (soc) root.style.setProperty("--soc", `${gun.soc_percent}%`);
    const label = this.label(gun, state, inSession);
    if (root.getAttribute("aria-label") !== label) root.setAttribute("aria-label", label);
  }

  howLong(gun, state) {
    const since = state === "Offline" ? gun.station.since : gun.since;
    if (!TIMED.has(state) || since === null) return "";
    return duration(this.hub.now() - Date.parse(since));
  }

  label(gun, state, inSession) {
    const words = [say("gun.label", {
      station: gun.station.label, gun: gun.evse_no, state: say(state),
    })];
    if (inSession && gun.power_w !== null) {
      words.push(say("gun.power", { n: kilowatts(gun.power_w) }));
    }
    if (inSession && gun.soc_percent !== null) {
      words.push(say("gun.soc", { n: percent(gun.soc_percent) }));
    }
    if (inSession && gun.energy_wh !== null) {
      words.push(say("gun.energy", { n: kilowattHours(gun.energy_wh) }));
    }
    return words.join(", ");
  }

  renderStation(station) {
    const { root, note } = this.cards.get(station.id);
    const watts = station.guns.reduce((sum, gun) => sum + (gun.power_w ?? 0), 0);
    const troubled = station.status === "Faulted" || station.status === "Unavailable";
    root.classList.toggle("is-offline", !station.online);
    root.classList.toggle("is-troubled", station.online && troubled);
    let text = "";
    if (!station.online) text = say("Offline");
    else if (troubled) text = say(station.status);
    else if (watts > 0) text = `${kilowatts(watts)} kW`;
    setText(note, text);
  }

  setFilter(state) {
    this.filter = state;
    this.applyFilter();
  }

  applyFilter() {
    this.root.classList.toggle("is-filtered", this.filter !== null);
    let shown = 0;
    for (const [id, card] of this.cards) {
      const { guns } = this.hub.stations.get(id);
      const matches = guns.filter((gun) => this.matches(gun));
      guns.forEach((gun) => {
        const { root } = this.cells.get(gun.id);
        root.classList.toggle("is-aside", !matches.includes(gun));
      });
      card.root.hidden = matches.length === 0;
      shown += matches.length;
    }
    this.nothing.hidden = shown > 0;
    if (shown === 0) {
      setText(this.nothing, this.cells.size === 0
        ? say("nothing.at_all")
        : say("nothing.filtered", { state: say(this.filter) }));
    }
  }

  matches(gun) {
    return this.filter === null || stateOf(gun) === this.filter;
  }

  // One cell is in the tab order; arrows move it, also up and down through the wrapped cards.

  focus(cell) {
    this.root.querySelector(".gun[tabindex='0']")?.setAttribute("tabindex", "-1");
    cell.tabIndex = 0;
    cell.focus();
  }

  /** Mark the gun whose details are open, or none. */
  select(id) {
    this.root.querySelector("[aria-selected]")?.removeAttribute("aria-selected");
    this.cells.get(id)?.root.setAttribute("aria-selected", "true");
  }

  focusGun(id) {
    const cell = this.cells.get(id);
    if (cell) this.focus(cell.root);
  }

  onKey(event) {
    const cell = event.target.closest(".gun");
    if (!cell || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.onSelect(cell.dataset.gun);
      return;
    }
    const next = this.neighbour(cell, event.key);
    if (next === undefined) return;
    event.preventDefault();
    if (next) this.focus(next);
  }

  /** Undefined for other keys, null at the edge. */
  neighbour(cell, key) {
    const all = [...this.root.querySelectorAll(".station:not([hidden]) .gun")];
    const index = all.indexOf(cell);
    switch (key) {
      case "ArrowRight": return all[index + 1] ?? null;
      case "ArrowLeft": return all[index - 1] ?? null;
      case "Home": return all[0];
      case "End": return all[all.length - 1];
      case "ArrowDown": return nearest(cell, all.slice(index + 1), 1);
      case "ArrowUp": return nearest(cell, all.slice(0, index).reverse(), -1);
      default: return undefined;
    }
  }
}

/** The cell of the next row whose middle is nearest; candidates come in reading order from here. */
function nearest(cell, candidates, direction) {
  const from = cell.getBoundingClientRect();
  const middle = from.left + from.width / 2;
  let best = null;
  let bestDistance = Infinity;
  let row = null;
  for (const candidate of candidates) {
    const box = candidate.getBoundingClientRect();
    if ((box.top - from.top) * direction < from.height / 2) continue;
    row ??= box.top;
    if (Math.abs(box.top - row) > from.height / 2) break;
    const distance = Math.abs(box.left + box.width / 2 - middle);
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** What tells stations apart: their names without the beginning and end that their group shares.
 * A group's names begin alike up to their first digit, so that one foreign name changes no other. */
export function shortLabels(stations) {
  const groups = new Map();
  for (const station of stations) {
    const key = family(nameOf(station));
    groups.set(key, [...(groups.get(key) ?? []), station]);
  }
  const labels = new Map();
  const taken = new Set();
  const largestFirst = [...groups.values()].sort((a, b) => b.length - a.length);
  for (const members of largestFirst) {
    const names = members.map(nameOf);
    const head = sharedLength(names);
    const tail = sharedLength(names.map((name) => [...name].reverse().join("")));
    const short = names.map((name) => name.slice(head, name.length - tail) || name);
    // 001 of two groups would be two stations of one label.
    const told = short.some((label) => taken.has(label)) ? names : short;
    members.forEach((station, index) => labels.set(station.id, told[index]));
    told.forEach((label) => taken.add(label));
  }
  return labels;
}

const nameOf = (station) => station.name || station.identity;

const family = (name) => /^[^0-9]*/.exec(name)[0];

/** How long a beginning all share; digits belong to the number: 101, 102 rather than 01, 02. */
function sharedLength(names) {
  if (names.length < 2) return 0;
  let shared = names[0].length;
  for (const name of names) {
    while (!name.startsWith(names[0].slice(0, shared))) shared -= 1;
  }
  while (shared > 0 && /[0-9]/.test(names[0][shared - 1])) shared -= 1;
  return shared;
}
