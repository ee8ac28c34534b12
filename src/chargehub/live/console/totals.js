// The hub in figures, and its guns by state: totals, the share bar, the filter chips, the summary.

import { element, icon, setText } from "./elements.js";
import { scaled } from "./figures.js";
import { STATES } from "./hub.js";
import { say } from "./words.js";

const SUMMARY_MS = 10_000;

export class Totals {
  constructor({ list, share, chips, summary }, onFilter) {
    this.list = list;
    this.share = share;
    this.chips = chips;
    this.summary = summary;
    this.onFilter = onFilter;
    this.filter = null;
    this.saidAt = -SUMMARY_MS;
  }

  /** Draw the words; figures come with render. */
  build() {
    this.figures = new Map();
    const total = (key) => {
      const number = element("b");
      const rest = element("span");
      const name = element("dt", "", say(`total.${key}`));
      const root = element("div", `total total-${key}`, name, element("dd", "", number, rest));
      this.figures.set(key, { root, number, rest });
      return root;
    };
    this.list.replaceChildren(
      ...["charging", "power", "transactions", "energy", "online", "faults"].map(total),
    );
    this.segments = new Map(STATES.map((state) => {
      const segment = element("span");
      segment.dataset.state = state;
      return [state, segment];
    }));
    this.share.replaceChildren(...this.segments.values());
    this.buttons = new Map([null, ...STATES].map((state) => [state, this.chip(state)]));
    this.chips.replaceChildren(...[...this.buttons.values()].map(({ root }) => root));
  }

  chip(state) {
    const count = element("b");
    const root = element("button", "chip");
    root.type = "button";
    if (state !== null) {
      root.dataset.state = state;
      root.append(icon(state));
    }
    root.append(element("span", "", state === null ? say("filter.all") : say(state)), count);
    root.setAttribute("aria-pressed", `${this.filter === state}`);
    root.addEventListener("click", () => {
      this.filter = this.filter === state ? null : state;
      for (const [key, button] of this.buttons) {
        button.root.setAttribute("aria-pressed", `${this.filter === key}`);
      }
      this.onFilter(this.filter);
    });
    return { root, count };
  }

  render(hub) {
    const { byState: counts, guns, stations, online, ...sums } = hub.figures();
    this.figure("charging", `${counts.Charging}`, `/ ${guns} ${say("unit.guns")}`);
    this.figure("power", ...scaled(sums.powerW, "W"));
    this.figure("transactions", `${sums.transactions}`, say("unit.transactions"));
    this.figure("energy", ...scaled(sums.energyWh, "Wh"));
    this.figure("online", `${online}`, `/ ${stations}`);
    this.figure("faults", `${counts.Faulted}`, `/ ${counts.Offline}`);
    this.figures.get("faults").root.classList.toggle("is-bad", counts.Faulted > 0);
    this.figures.get("online").root.classList.toggle("is-short", online < stations);
    for (const state of STATES) {
      this.segments.get(state).style.setProperty("--share", counts[state]);
      this.segments.get(state).hidden = counts[state] === 0;
    }
    for (const [state, { root, count }] of this.buttons) {
      const number = state === null ? guns : counts[state];
      setText(count, `${number}`);
      root.classList.toggle("is-empty", number === 0);
    }
    this.summarise(counts);
  }

  figure(key, number, rest) {
    const figure = this.figures.get(key);
    setText(figure.number, number);
    setText(figure.rest, rest);
  }

  /** Tell screen readers, seldom and only when something they would ask for has changed. */
  summarise(counts) {
    if (performance.now() - this.saidAt < SUMMARY_MS) return;
    const text = say("summary", {
      charging: counts.Charging,
      available: counts.Available,
      faulted: counts.Faulted,
      offline: counts.Offline,
    });
    if (this.summary.textContent === text) return;
    this.summary.textContent = text;
    this.saidAt = performance.now();
  }
}
