// The page: login or board, and what ties the stream to what is drawn.

import { BoardView } from "./board.js";
import { Details } from "./details.js";
import { setText } from "./elements.js";
import { Hub } from "./hub.js";
import { Stream } from "./stream.js";
import { Totals } from "./totals.js";
import { currentLanguage, say, sayAll, switchLanguage } from "./words.js";

const STALE_MS = 5000;
const THEME = "chargehub.theme";
const PLACE = "chargehub.place";

const byId = (id) => document.getElementById(id);
const page = document.documentElement;
const hub = new Hub();
hub.place = localStorage.getItem(PLACE);
const board = new BoardView(byId("board"), byId("nothing"), openDetails);
const details = new Details(byId("details"));
const totals = new Totals(
  { list: byId("totals"), share: byId("share"), chips: byId("chips"), summary: byId("summary") },
  (state) => board.setFilter(state),
);
const stream = new Stream({
  snapshot: (data) => {
    hub.applySnapshot(data);
    pending.rebuild = true;
    draw();
  },
  changes: (data) => {
    hub.applyChanges(data).forEach((gun) => pending.guns.add(gun));
    draw();
  },
  beat: (data) => {
    hub.hear(data);
    draw();
  },
  refused: () => showLogin(say("login.ended")),
});

// Frames change the model at once; the page is drawn at most once per animation frame.

const pending = { rebuild: false, guns: new Set(), scheduled: false };

function draw() {
  if (pending.scheduled) return;
  pending.scheduled = true;
  requestAnimationFrame(() => {
    pending.scheduled = false;
    if (pending.rebuild) {
      board.build(hub);
      renderPlaces();
      page.dataset.view = "board";
    } else {
      board.renderGuns(pending.guns);
    }
    pending.rebuild = false;
    pending.guns.clear();
    totals.render(hub);
    details.render(hub);
    renderFreshness();
  });
}

function renderPlaces() {
  const options = hub.places().map(({ id, name }) => new Option(name, id, false, id === hub.place));
  byId("place").replaceChildren(...options);
  byId("place").disabled = options.length < 2;
}

byId("place").addEventListener("change", (event) => {
  hub.place = event.target.value;
  localStorage.setItem(PLACE, hub.place);
  closeDetails({ refocus: false });
  board.build(hub);
  totals.render(hub);
});

// An operator must never trust a frozen board.

function renderFreshness() {
  const age = stream.ageMs();
  const stale = age !== null && age > STALE_MS;
  page.classList.toggle("is-stale", stale);
  page.classList.toggle("is-live", age !== null && !stale);
  if (age === null) setText(byId("live-text"), say("live.connecting"));
  else if (stale) setText(byId("live-text"), say("live.stale", { seconds: Math.floor(age / 1000) }));
  else setText(byId("live-text"), say("live.on"));
}

let clockFormat = null;

function renderClock() {
  if (stream.ageMs() === null) return;
  clockFormat ??= new Intl.DateTimeFormat(currentLanguage(), {
    month: "short", day: "numeric", weekday: "short",
    hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    timeZone: hub.locations.find(({ id }) => id === hub.place)?.time_zone,
  });
  setText(byId("clock"), clockFormat.format(hub.now()));
}

let seconds = 0;

setInterval(() => {
  if (page.dataset.view !== "board") return;
  renderFreshness();
  renderClock();
  seconds += 1;
  // Durations go on while nothing changes.
  if (seconds % 15 === 0) board.renderAll();
}, 1000);

// Details of one gun

function openDetails(gunId) {
  if (details.gunId === gunId) {
    closeDetails();
    return;
  }
  details.open(gunId, hub, board.cells.get(gunId).root);
  board.select(gunId);
}

function closeDetails({ refocus = true } = {}) {
  const gunId = details.gunId;
  if (gunId === null) return;
  details.close();
  board.select(null);
  if (refocus) board.focusGun(gunId);
}

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeDetails();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest(".gun, .details")) closeDetails({ refocus: false });
});
addEventListener("resize", () => closeDetails({ refocus: false }));

// Login

function showLogin(message = "") {
  stream.close();
  closeDetails({ refocus: false });
  page.dataset.view = "login";
  byId("login-error").textContent = message;
  byId("login-password").value = "";
  (byId("login-name").value ? byId("login-password") : byId("login-name")).focus();
}

function openBoard() {
  page.dataset.view = "starting";
  byId("starting").textContent = say("starting");
  stream.open();
}

async function logIn(form) {
  const body = JSON.stringify(Object.fromEntries(new FormData(form)));
  const headers = { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch("/api/v1/login", { method: "POST", headers, body });
  } catch {
    return say("login.unreachable");
  }
  if (answer.ok) return null;
  if (answer.status === 429) {
    const wait = Number(answer.headers.get("Retry-After") ?? "30");
    return say("login.wait", { seconds: Math.ceil(wait) });
  }
  return say(answer.status < 500 ? "login.wrong" : "login.failed");
}

byId("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = byId("login-button");
  button.disabled = true;
  button.textContent = say("login.busy");
  const complaint = await logIn(event.target);
  button.disabled = false;
  button.textContent = say("login.button");
  if (complaint === null) openBoard();
  else showLogin(complaint);
});

function csrfToken() {
  return /(?:^|; )chargehub_csrf=([^;]*)/.exec(document.cookie)?.[1] ?? "";
}

async function leave() {
  stream.close();
  await fetch("/api/v1/logout", { method: "POST", headers: { "X-CSRF-Token": csrfToken() } })
    .catch(() => null);
  showLogin();
}

// Language and theme

function changeLanguage() {
  switchLanguage();
  clockFormat = null;
  sayAll();
  totals.build();
  if (page.dataset.view !== "board") return;
  board.build(hub);
  totals.render(hub);
  details.render(hub);
  renderFreshness();
  renderClock();
}

function changeTheme() {
  const dark = getComputedStyle(page).colorScheme === "dark" ||
    (!page.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  page.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem(THEME, page.dataset.theme);
}

const deeds = {
  "language": changeLanguage,
  "theme": changeTheme,
  "leave": leave,
  "close-details": () => closeDetails(),
};

for (const button of document.querySelectorAll("[data-do]")) {
  button.addEventListener("click", deeds[button.dataset.do]);
}

const theme = localStorage.getItem(THEME);
if (theme === "light" || theme === "dark") page.dataset.theme = theme;
sayAll();
totals.build();
// The readable cookie comes and goes with the login; where it lies, the stream is refused.
if (csrfToken() === "") showLogin();
else openBoard();
