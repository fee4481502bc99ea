// Decisions as they are made, and why one request went where it did: the steps of its walk, in order.

import { useState } from 'preact/hooks';
import { html } from './html.js';
import { memo } from './memo.js';
import { stepSentence, stepTitle } from './trace-words.js';
import { clock, duration } from './words.js';

const KEPT = {
  error: 'an error',
  retry: 'a retry',
  moved: 'a key on the move',
  slow: 'slow',
  sample: 'a sample',
};

export function Decisions({ decisions, regions, ask }) {
  const [filter, setFilter] = useState({ region: '', kept: '' });
  const [trace, setTrace] = useState(undefined);
  const [problem, setProblem] = useState('');
  const search = async (event) => {
    event.preventDefault();
    const id = new FormData(event.currentTarget).get('id').trim();
    if (id === '') return;
    try {
      const { body } = await ask(`/event_tracing/${encodeURIComponent(id)}`);
      setTrace(body);
      setProblem('');
    } catch (error) {
      setTrace(undefined);
      setProblem(error.message);
    }
  };
  const shown = decisions.filter(
    ({ region, keptFor }) =>
      (filter.region === '' || region === filter.region) && (filter.kept === '' || keptFor === filter.kept),
  );
  const set = (name) => (event) => setFilter({ ...filter, [name]: event.currentTarget.value });
  return html`<form class="tools" onSubmit=${search} role="search">
      <label>Request id<input name="id" autocomplete="off" spellcheck="false" placeholder="of foreshard-request-id" /></label>
      <button class="primary">Find</button>
      <label>Region<select value=${filter.region} onChange=${set('region')}><option value="">all</option>${regions.map((id) => html`<option>${id}</option>`)}</select></label>
      <label>Kept because it was<select value=${filter.kept} onChange=${set('kept')}><option value="">anything</option>${Object.entries(KEPT).map(([kind, word]) => html`<option value=${kind}>${word}</option>`)}</select></label>
    </form>
    <p class="problem" role="alert">${problem}</p>
    <div class="split">
      <${List} shown=${shown} chosen=${trace?.requestId} onChoose=${setTrace} />
      <div class="trace" aria-live="polite"><${Trace} trace=${trace} /></div>
    </div>`;
}

function List({ shown, chosen, onChoose }) {
  if (shown.length === 0) {
    return html`<p class="empty">No decision is kept that fits. Errors, retries, moved keys and slow requests always are; of the others a sample (trace.sample).</p>`;
  }
  return html`<ul class="decisions">${shown
    .slice(0, 100)
    .map(
      (one) =>
        html`<${Decision} key=${one.requestId} one=${one} isChosen=${one.requestId === chosen} onChoose=${onChoose} />`,
    )}</ul>`;
}

const Decision = memo(
  ({
    one,
    isChosen,
    onChoose,
  }) => html`<li><button class=${isChosen ? 'chosen' : ''} onClick=${() => onChoose(one)}>
    <time>${clock(one.at)}</time><b class="status s${String(one.status)[0]}">${one.status}</b>
    <span class="what">${one.method} ${one.path}</span><span>${one.region ?? 'nowhere'}</span>
    <small>${one.keptFor} · ${duration(one.durationMs)}</small></button></li>`,
);

function Trace({ trace }) {
  if (trace === undefined)
    return html`<p class="empty">Choose a decision, or find one by its request id, to see why it went where it did.</p>`;
  return html`<h3>${trace.method} ${trace.path}</h3>
    <p><code>${trace.requestId}</code><br /><small>${clock(trace.at)} · kept as ${KEPT[trace.keptFor] ?? trace.keptFor} · priority ${trace.priority} · plan generation ${trace.plan.generation} · configuration ${trace.configGeneration} · decided in ${duration(trace.decidedMs)}</small></p>
    <ol class="steps">${trace.steps.map((step) => html`<li class=${step.stage}><b>${stepTitle(step)}</b><span>${stepSentence(step)}</span></li>`)}</ol>`;
}
