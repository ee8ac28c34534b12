// The hub as this page knows it: what the stream's snapshot and changes say, and nothing drawn.

export const STATES = [
  "Charging", "Available", "Preparing", "SuspendedEV", "SuspendedEVSE", "Finishing",
  "Occupied", "Reserved", "Unavailable", "Faulted", "Offline", "Unknown",
];

export class Hub {
  constructor() {
    this.locations = [];
    this.stations = new Map();
    this.guns = new Map();
    this.totals = {};
    this.place = null;
    this.rate = 1;
    this.heard = { hub: 0, here: 0 };
  }

  /** Replace everything. */
  applySnapshot(data) {
    this.rate = data.rate;
    this.locations = data.layout.locations;
    this.stations = new Map();
    this.guns = new Map();
    for (const facts of data.layout.stations) {
      const station = { ...facts, online: false, since: null, error: null, guns: [] };
      for (const evse of facts.evses) {
        const gun = { ...evse, station, status: "Unknown", since: null, error: null };
        Object.assign(gun, { transaction_id: null, started_at: null });
        Object.assign(gun, { power_w: null, energy_wh: null, soc_percent: null });
        station.guns.push(gun);
        this.guns.set(gun.id, gun);
      }
      this.stations.set(station.id, station);
    }
    const places = this.places().map(({ id }) => id);
    if (!places.includes(this.place)) this.place = places[0] ?? null;
    this.applyChanges(data);
  }

  /** Locations that have stations; the server lists the largest first. */
  places() {
    const used = new Set([...this.stations.values()].map((station) => station.location_id));
    return this.locations.filter(({ id }) => used.has(id));
  }

  /** What stands at the Location that is looked at. */
  stationsHere() {
    return [...this.stations.values()].filter((station) => station.location_id === this.place);
  }

  /** Take in what changed; returns the guns that look different now. */
  applyChanges(data) {
    this.hear(data);
    const changed = new Set();
    for (const item of data.board?.stations ?? []) {
      const station = this.stations.get(item.id);
      if (!station) continue;
      Object.assign(station, item);
      station.guns.forEach((gun) => changed.add(gun));
    }
    for (const item of [...(data.board?.evses ?? []), ...(data.power?.evses ?? [])]) {
      const gun = this.guns.get(item.id);
      if (!gun) continue;
      Object.assign(gun, item);
      changed.add(gun);
    }
    Object.assign(this.totals, data.board?.hub, data.power?.hub);
    return changed;
  }

  /** Note the hub's time, so that durations run on its clock and not on this machine's. */
  hear(data) {
    this.heard = { hub: Date.parse(data.at), here: performance.now() };
  }

  now() {
    return this.heard.hub + (performance.now() - this.heard.here) * this.rate;
  }

  /** The figures of that Location. */
  figures() {
    const stations = this.stationsHere();
    const guns = stations.flatMap((station) => station.guns);
    const byState = Object.fromEntries(STATES.map((state) => [state, 0]));
    for (const gun of guns) byState[stateOf(gun)] += 1;
    const live = guns.filter((gun) => gun.station.online);
    return {
      byState,
      guns: guns.length,
      stations: stations.length,
      online: stations.filter((station) => station.online).length,
      powerW: live.reduce((sum, gun) => sum + (gun.power_w ?? 0), 0),
      transactions: this.totals.transactions_today?.[this.place] ?? 0,
      energyWh: this.totals.energy_today_wh?.[this.place] ?? 0,
    };
  }
}

export function stateOf(gun) {
  return gun.station.online ? gun.status : "Offline";
}
