// The page: what the connection knows, in sections. Drawn anew when something was heard, and twice a second while
// something moves.

import { render } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Accuracy } from './accuracy.js';
import { Ask } from './ask.js';
import { Connection } from './connection.js';
import { Decisions } from './decisions.js';
import { Events } from './events.js';
import { html } from './html.js';
import { NOTHING_KNOWN, regionRows, shiftsOf } from './live-state.js';
import { LoadChart } from './load-chart.js';
import { Audit, Plans } from './plans.js';
import { Policies } from './policies.js';
import { Regions } from './regions.js';
import { ShardMap } from './shard-map.js';
import { movingOf } from './shards.js';
import { clock, counted, percent, rate } from './words.js';

const TICK_MS = 500;
const THEME = 'foreshard.theme';

function Page() {
  const [state, setState] = useState(NOTHING_KNOWN);
  const [question, setQuestion] = useState(undefined);
  const [chosen, setChosen] = useState(undefined);
  const [theme, setTheme] = useTheme();
  const now = useNow(shiftsOf(state).length > 0) + state.clockOffset;
  const connection = useMemo(() => new Connection(setState), []);
  useEffect(() => void connection.run(), []);
  const ask = useMemo(() => connection.ask.bind(connection), []);
  const act = useMemo(
    () =>
      async (path, body, method = 'POST') => {
        await connection.ask(path, { method, body });
        await connection.refresh();
      },
    [],
  );
  const rows = useMemo(() => regionRows(state), [state.regions, state.risk]);
  const ids = useMemo(() => rows.map(({ id }) => id), [rows.map(({ id }) => id).join()]);
  const selected = rows.find(({ id }) => id === chosen) ?? rows[0];
  const shared = { act, onAsk: setQuestion };
  const planning = state.risk?.planning;

  const regions = useMemo(
    () => html`<${Regions} rows=${rows} selected=${selected?.id} onSelect=${setChosen} ...${shared} />`,
    [rows, selected?.id],
  );
  const newest = state.audit[0]?.at;
  const later = useLater(state);
  const decisions = useMemo(
    () => html`<${Decisions} decisions=${later.decisions} regions=${ids} ask=${ask} />`,
    [later.decisions, ids],
  );
  const policies = useMemo(
    () =>
      html`<${Policies} ask=${ask} onAsk=${setQuestion} connection=${state.connection} newest=${newest} />`,
    [state.connection, newest],
  );
  const events = useMemo(
    () => html`<${Events} events=${state.events} regions=${ids} now=${now} ...${shared} />`,
    [state.events, ids],
  );
  const accuracy = useMemo(() => html`<${Accuracy} regions=${later.risk?.regions ?? []} />`, [later.risk]);
  const audit = useMemo(() => html`<${Audit} entries=${later.audit} />`, [later.audit]);
  if (state.connection === 'token') return html`<${TokenForm} connection=${connection} />`;
  if (state.connection === 'starting')
    return html`<p class="starting">Foreshard: asking the control port for its state.</p>`;
  return html`<${Header} state=${state} theme=${theme} onTheme=${setTheme} />
    <main>
      <${Summary} rows=${rows} state=${state} />
      ${state.riskProblem && html`<p class="note">There are no forecasts and risk scores: ${state.riskProblem}.</p>`}
      <${Section} id="regions" title="Regions" wide>${regions}<//>
      <${Section} id="shards" title="Shards"><${ShardMap} shards=${state.shards} now=${now} /><//>
      <${Section} id="load" title=${`Load of ${selected?.id ?? 'regions'}`}>
        <${LoadChart} row=${selected} points=${state.history[selected?.id] ?? []} events=${state.events} theme=${theme}
          horizonMs=${(state.risk?.horizonSeconds ?? 0) * 1000} now=${now} />
        <h3>Plan</h3><${Plans} planning=${planning} ...${shared} /><//>
      <${Section} id="decisions" title="Decisions" wide>${decisions}<//>
      <${Section} id="events" title="External events" wide>${events}<//>
      <${Section} id="policies" title="Policies" wide>${policies}<//>
      <${Section} id="accuracy" title="Model accuracy" wide>${accuracy}<//>
      <${Section} id="audit" title="Who changed what" wide>${audit}<//>
    </main>
    ${question && html`<${Ask} key=${question.title} question=${question} onClose=${() => setQuestion(undefined)} />`}`;
}

function Section({ id, title, wide, children }) {
  return html`<section id=${id} class=${wide ? 'wide' : ''} aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>${children}</section>`;
}

function Header({ state, theme, onTheme }) {
  const { plan, risk } = state;
  return html`<header><h1><img src="/dashboard/icon.svg" alt="" width="24" height="24" />Foreshard</h1>
      <nav aria-label="Sections">${['Regions', 'Shards', 'Load', 'Decisions', 'Events', 'Policies', 'Accuracy'].map((name) => html`<a href="#${name.toLowerCase()}">${name}</a>`)}</nav>
      <span class="facts">${plan ? `plan ${plan.tag.split('.').at(-1)}, ${plan.mode}` : 'no plan'}${risk?.planning?.frozen ? html` <b class="badge lowered">frozen</b>` : ''}</span>
      <span class="connection ${state.connection}" role="status">${connectionWords(state)}</span>
      <label class="inline">Theme <select value=${theme} onChange=${(event) => onTheme(event.currentTarget.value)}><option value="">system</option><option>light</option><option>dark</option></select></label></header>
    ${state.connection === 'lost' && html`<p class="banner" role="alert">The control port does not answer. What stands here is of ${clock(state.heardAt)}; it is asked again every 2 s.</p>`}`;
}

function connectionWords({ connection }) {
  return { live: 'live', polling: 'asking every 2 s', lost: 'connection lost' }[connection];
}

function Summary({ rows, state }) {
  const total = rows.reduce((sum, row) => sum + row.requestsPerSecond, 0);
  const serving = rows.filter(({ weight, healthy }) => weight.effective > 0 && healthy > 0).length;
  const riskiest = rows.reduce(
    (worst, row) => ((row.score?.risk ?? -1) > (worst?.score?.risk ?? -1) ? row : worst),
    undefined,
  );
  // A shard that moves in two tables, of all requests and of critical ones, is one shard.
  const moving = new Set(shiftsOf(state).flatMap((table) => [...movingOf(table).keys()])).size;
  const tile = (label, value, note) =>
    html`<div><dt>${label}</dt><dd>${value}</dd><small>${note}</small></div>`;
  return html`<dl class="summary">
    ${tile('Requests', rate(total), 'all regions, now')}
    ${tile('Regions serving', `${serving} of ${rows.length}`, serving === rows.length ? 'all take traffic' : 'see the table for the others')}
    ${tile('Highest risk', riskiest?.score === undefined ? 'not assessed' : percent(riskiest.score.risk), riskiest?.score?.risk > 0 ? riskiest.id : 'nothing foreseen')}
    ${tile('On the move', counted(moving, 'shard'), moving === 0 ? 'no shift under way' : 'a shift is under way')}
  </dl>`;
}

function TokenForm({ connection }) {
  const [isRefused, setRefused] = useState(false);
  const submit = (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    setRefused(false);
    connection.useToken(new FormData(form).get('token'), () => setRefused(true));
  };
  return html`<form class="token" onSubmit=${submit}><h1><img src="/dashboard/icon.svg" alt="" width="24" height="24" />Foreshard</h1>
    <p>The control port asks for a token (control.token, or control.readToken to look only). It is kept in this tab until you close it.</p>
    <label>Token<input name="token" type="password" required autocomplete="off" autofocus /></label>
    <p class="problem" role="alert">${isRefused && 'This token is not accepted.'}</p>
    <div class="actions"><button class="primary">Open</button></div></form>`;
}

function useTheme() {
  const [theme, setTheme] = useState(() => localStorage.getItem(THEME) ?? '');
  if (theme === '') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  return [
    theme,
    (next) => {
      localStorage.setItem(THEME, next);
      setTheme(next);
    },
  ];
}

/** The state of a frame ago, for what stands further down: all at once would be too long for one frame. */
function useLater(state) {
  const [later, setLater] = useState(NOTHING_KNOWN);
  useEffect(() => {
    const frame = requestAnimationFrame(() => setLater(state));
    return () => cancelAnimationFrame(frame);
  }, [state]);
  return later;
}

/** Milliseconds of the browser, now; told anew while something moves. */
function useNow(isMoving) {
  const [, setTick] = useState(0);
  useEffect(() => {
    if (!isMoving) return undefined;
    const timer = setInterval(() => setTick((tick) => tick + 1), TICK_MS);
    return () => clearInterval(timer);
  }, [isMoving]);
  return Date.now();
}

const page = document.getElementById('page');
page.textContent = '';
render(html`<${Page} />`, page);
