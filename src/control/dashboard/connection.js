// Asks the control port and keeps asking: by server-sent events where there are some, else every two seconds. A token
// is kept for this tab only. What is lost is said, and tried again until it is back.

import { eventReader, NOTHING_KNOWN, withMessage } from './live-state.js';

const POLL_MS = 2000;
const SLOW_POLL_MS = 10_000;
const RETRY_MS = 2000;
// The stream says something every 15 s at least.
const SILENCE_MS = 20_000;
// Half a minute of asking, then the stream is tried again.
const POLLS_BEFORE_STREAM = 15;
const TOKEN = 'foreshard.token';

export class Connection {
  #state = NOTHING_KNOWN;
  #onState;
  #frame = 0;
  #planTag = '';
  #shardsAsked = '';

  constructor(onState) {
    this.#onState = onState;
  }

  /** Never ends by itself. */
  async run() {
    setInterval(() => void this.#slowRound(), SLOW_POLL_MS);
    for (;;) {
      try {
        await this.#firstRound();
        if (!(await this.#stream())) await this.#poll();
      } catch (error) {
        this.#set({ connection: error?.status === 401 || error?.status === 403 ? 'token' : 'lost' });
      }
      if (this.#state.connection === 'token') {
        this.#onRefused?.();
        await this.#tokenGiven();
      } else if (this.#state.connection !== 'polling') await pause(RETRY_MS);
    }
  }

  /** Kept in this tab until it is closed. @param onRefused it is not one that opens anything */
  useToken(token, onRefused) {
    sessionStorage.setItem(TOKEN, token);
    this.#onRefused = onRefused;
    this.#gotToken?.();
  }

  #gotToken;
  #onRefused;

  #tokenGiven() {
    return new Promise((resolve) => {
      this.#gotToken = resolve;
    });
  }

  /** @returns the parsed answer; throws an error with the status and the sentence of a problem document. */
  async ask(path, { method = 'GET', body, match } = {}) {
    const response = await this.#fetch(path, { method, body, match }).catch(() => {
      throw new Error('the control port does not answer');
    });
    const text = await response.text();
    let document = {};
    try {
      document = text === '' ? {} : JSON.parse(text);
    } catch {
      document = { title: `the answer of ${path} is no JSON` };
    }
    if (response.ok) return { body: document, etag: response.headers.get('etag') };
    const said = document.title ?? `status ${response.status}`;
    throw Object.assign(new Error(said), { status: response.status, problem: document });
  }

  /** What an operator has changed shows at once, not with the next look. */
  async refresh() {
    await Promise.allSettled([
      this.#take('/regions', 'health'),
      this.#plan(),
      this.#scores(''),
      this.#slowRound(),
    ]);
  }

  #fetch(path, { method = 'GET', body, match, signal } = {}) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = { accept: 'application/json' };
    if (token !== null) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    if (match) headers['if-match'] = match;
    return fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  }

  async #firstRound() {
    await this.#take('/regions', 'health');
    await Promise.all([
      this.#plan(),
      this.#scores('?history=1h'),
      this.#take('/event_tracing?limit=100', 'decisions').catch(ignore),
      this.#slowRound(),
    ]);
  }

  async #slowRound() {
    if (this.#state.connection === 'token') return;
    await Promise.allSettled([
      this.#take('/external_events', 'events'),
      this.#take('/audit?limit=20', 'audit'),
    ]);
  }

  async #take(path, event) {
    const { body } = await this.ask(path);
    this.#hear(event, body);
  }

  async #plan() {
    try {
      const { body } = await this.ask('/plan');
      this.#hear('plan', { ...body, tables: undefined, tag: `${body.incarnation}.${body.generation}` });
    } catch (error) {
      if (error.status === undefined) throw error;
    }
  }

  async #scores(query) {
    try {
      await this.#take(`/risk_scores${query}`, 'risk');
    } catch (error) {
      if (error.status === undefined) throw error;
      this.#set({ riskProblem: error.message });
    }
  }

  /**
   * @returns false where there is no stream to be had: it is refused, cut off or held back by something on the way.
   * One that was heard and ends is a lost connection.
   */
  async #stream() {
    const stop = new AbortController();
    let isHeard = false;
    let silence = setTimeout(() => stop.abort(), SILENCE_MS);
    try {
      const response = await this.#fetch('/stream', { signal: stop.signal });
      if (response.status === 401 || response.status === 403)
        throw Object.assign(new Error('no stream'), { status: response.status });
      if (!response.ok) return false;
      const read = eventReader();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) throw new Error('the stream has ended');
        clearTimeout(silence);
        silence = setTimeout(() => stop.abort(), SILENCE_MS);
        if (!isHeard) this.#set({ connection: 'live', heardAt: Date.now() });
        isHeard = true;
        for (const { event, data } of read(value)) this.#hear(event, data);
      }
    } catch (error) {
      if (isHeard || error?.status !== undefined) throw error;
      return false;
    } finally {
      clearTimeout(silence);
      stop.abort();
    }
  }

  /** Throws when nobody answers; ends when it is time to try the stream again. */
  async #poll() {
    for (let round = 0; round < POLLS_BEFORE_STREAM; round += 1) {
      await this.#take('/regions', 'health');
      await Promise.all([this.#plan(), this.#scores('')]);
      await this.#take('/event_tracing?limit=50', 'decisions').catch(ignore);
      this.#set({ connection: 'polling' });
      await pause(POLL_MS);
    }
  }

  #hear(event, data) {
    this.#set(withMessage(this.#state, event, data, Date.now()));
    if (event === 'plan' && data.tag !== this.#planTag) {
      this.#planTag = data.tag;
      void this.#askShards();
    }
  }

  /** Whoever changes the plan while it is asked for makes it be asked for again. */
  async #askShards() {
    if (this.#shardsAsked !== '') return;
    while (this.#shardsAsked !== this.#planTag) {
      this.#shardsAsked = this.#planTag;
      await this.#take('/shards', 'shards').catch(ignore);
    }
    this.#shardsAsked = '';
  }

  /** Many messages, one drawing. */
  #set(change) {
    this.#state = { ...this.#state, ...change };
    if (this.#frame !== 0) return;
    const draw = () => {
      this.#frame = 0;
      this.#onState(this.#state);
    };
    this.#frame = requestAnimationFrame(draw);
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const ignore = () => undefined;
