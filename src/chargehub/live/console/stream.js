// The live stream: connects, resumes after the last frame, notices silence, and says what it heard.

const URL = "/api/v1/live?topics=board,power";
const SILENCE_MS = 35_000;
const HIDDEN_MS = 60_000;
const LONGEST_WAIT_MS = 15_000;

export class Stream {
  /** `on` has snapshot(data), changes(data), beat(data) and refused(). */
  constructor(on) {
    this.on = on;
    this.source = null;
    this.lastId = null;
    this.heardAt = null;
    this.failures = 0;
    this.timer = null;
    this.hiddenTimer = null;
    document.addEventListener("visibilitychange", () => this.onVisibility());
  }

  open() {
    this.wanted = true;
    this.connect();
    this.watch ??= setInterval(() => this.checkSilence(), 1000);
  }

  close() {
    this.wanted = false;
    this.lastId = null;
    this.heardAt = null;
    this.disconnect();
    clearInterval(this.watch);
    this.watch = null;
  }

  /** How old the newest word of the hub is; null while there was none. */
  ageMs() {
    return this.heardAt === null ? null : performance.now() - this.heardAt;
  }

  connect() {
    this.disconnect();
    this.startedAt = performance.now();
    const after = this.lastId === null ? "" : `&after=${encodeURIComponent(this.lastId)}`;
    const source = new EventSource(URL + after);
    const listen = (kind, tell) => source.addEventListener(kind, (event) => {
      this.lastId = event.lastEventId;
      this.heardAt = performance.now();
      this.failures = 0;
      tell(JSON.parse(event.data));
    });
    listen("snapshot", this.on.snapshot);
    listen("message", this.on.changes);
    listen("beat", this.on.beat);
    source.onerror = () => {
      // The browser connects again by itself unless the server answered with a refusal.
      if (source.readyState === EventSource.CLOSED && source === this.source) this.onRefused();
    };
    this.source = source;
  }

  disconnect() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  async onRefused() {
    this.disconnect();
    let answer = null;
    try {
      answer = await fetch("/api/v1/me");
    } catch {
      // Not reachable: try again later.
    }
    if (!this.wanted) return;
    if (answer?.status === 401) this.on.refused();
    else this.reconnectLater();
  }

  /** Wait longer each time, and never at the same moment as all the others. */
  reconnectLater() {
    clearTimeout(this.timer);
    const wait = Math.min(1000 * 2 ** this.failures, LONGEST_WAIT_MS) * (0.5 + Math.random());
    this.failures += 1;
    this.timer = setTimeout(() => this.connect(), wait);
  }

  checkSilence() {
    if (this.source === null) return;
    const lastSign = Math.max(this.heardAt ?? 0, this.startedAt);
    if (performance.now() - lastSign > SILENCE_MS) {
      this.disconnect();
      this.reconnectLater();
    }
  }

  onVisibility() {
    clearTimeout(this.hiddenTimer);
    if (!this.wanted) return;
    if (document.hidden) this.hiddenTimer = setTimeout(() => this.disconnect(), HIDDEN_MS);
    else if (this.source === null) this.connect();
  }
}
