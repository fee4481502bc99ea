// External events: maintenance, campaigns, weather, incidents. What is known from outside before any metric shows it.

import { useState } from 'preact/hooks';
import { causeOf } from './ask.js';
import { html } from './html.js';
import { localField, moment, percent } from './words.js';

const HOUR_MS = 3_600_000;
const KINDS = ['maintenance', 'campaign', 'weather', 'incident', 'other'];

export function Events({ events, regions, now, act, onAsk }) {
  const [problem, setProblem] = useState('');
  const add = (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    const given = new FormData(form);
    const one = {
      kind: given.get('kind'),
      title: given.get('title'),
      regions: given.getAll('regions'),
      start: new Date(given.get('start')).toISOString(),
      end: new Date(given.get('end')).toISOString(),
      severity: Number(given.get('severity')),
      ...(given.get('loadFactor') ? { loadFactor: Number(given.get('loadFactor')) } : {}),
    };
    if (one.end <= one.start) return setProblem('The end must be after the start.');
    setProblem('');
    onAsk({
      title: 'Add an event',
      text: `${one.kind} of ${one.regions.length === 0 ? 'all regions' : one.regions.join(', ')}, ${moment(one.start)} to ${moment(one.end)}, severity ${percent(one.severity)}. Forecasts and weights follow it.`,
      confirm: 'Add',
      needsReason: true,
      act: async (said) => {
        await act(`/external_events?${new URLSearchParams(causeOf(said))}`, one);
        form.elements.namedItem('title').value = '';
      },
    });
  };
  const remove = ({ id, title, kind }) =>
    onAsk({
      title: 'Remove an event',
      text: `“${title || kind}” no longer counts for any forecast.`,
      confirm: 'Remove',
      needsReason: true,
      act: (given) => {
        const said = new URLSearchParams(causeOf(given));
        return act(`/external_events/${encodeURIComponent(id)}?${said}`, undefined, 'DELETE');
      },
    });
  return html`<div class="split">
    <div>${
      events.length === 0
        ? html`<p class="empty">No external event is known.</p>`
        : html`<ul class="plain">${events.map(
            (
              one,
            ) => html`<li key=${one.id}><div><b>${one.title || one.kind}</b> <span class="badge">${one.kind}</span>
              <small>${one.regions.length === 0 ? 'all regions' : one.regions.join(', ')} · ${moment(one.start)} to ${moment(one.end)} · severity ${percent(one.severity)}</small></div>
              <button aria-label="Remove ${one.title || one.kind}" onClick=${() => remove(one)}>Remove…</button></li>`,
          )}</ul>`
    }</div>
    <${Form} regions=${regions} now=${now} add=${add} problem=${problem} />
  </div>`;
}

/** Its fields have defaults, not values: what somebody has typed must outlive the next drawing. */
function Form({ regions, now, add, problem }) {
  const [start] = useState(() => now);
  return html`<form class="draft" onSubmit=${add} aria-label="Add an event">
    <div class="pair"><label>Kind<select name="kind">${KINDS.map((kind) => html`<option>${kind}</option>`)}</select></label>
      <label>Title<input name="title" maxlength="256" autocomplete="off" /></label></div>
    <div class="pair"><label>Start (your time)<input type="datetime-local" name="start" required defaultValue=${localField(start)} /></label>
      <label>End (your time)<input type="datetime-local" name="end" required defaultValue=${localField(start + HOUR_MS)} /></label></div>
    <div class="pair"><label>Severity, 0 to 1<input type="number" name="severity" min="0" max="1" step="any" defaultValue="0.5" required /></label>
      <label>Load factor (empty: learnt)<input type="number" name="loadFactor" min="0" max="100" step="any" /></label></div>
    <fieldset><legend>Regions (none chosen: all)</legend>${regions.map((id) => html`<label class="check" key=${id}><input type="checkbox" name="regions" value=${id} />${id}</label>`)}</fieldset>
    <p class="problem" role="alert">${problem}</p>
    <div class="actions"><button class="primary">Add event…</button></div>
  </form>`;
}
