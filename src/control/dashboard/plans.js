// The plan: what is in force, what an operator may do with it, what was in force before, and who changed what.

import { causeOf } from './ask.js';
import { html } from './html.js';
import { clock, moment, weight } from './words.js';

const COMMANDS = {
  freeze: {
    label: 'Freeze',
    text: 'Nothing moves any more but what becomes unavailable, until it is unfrozen.',
  },
  unfreeze: { label: 'Unfreeze', text: 'Plans are followed again.' },
  accept: { label: 'Accept', text: 'The proposed weights become those in force.' },
};

export function Plans({ planning, act, onAsk }) {
  if (planning === undefined) return html`<p class="empty">No plan is made in this process.</p>`;
  if (planning.mode === 'off') return html`<p class="empty">No plan is made: pae.mode is off.</p>`;
  const command = (name) =>
    onAsk({
      title: `${COMMANDS[name].label} the plan`,
      text: COMMANDS[name].text,
      confirm: COMMANDS[name].label,
      needsReason: true,
      act: (given) => act(`/plan/${name}`, causeOf(given)),
    });
  const goBack = (past) =>
    onAsk({
      title: `Roll back to generation ${past.generation}`,
      text: `The weights become ${said(past.weights)}, and the plan is frozen there.`,
      confirm: 'Roll back',
      needsReason: true,
      act: (given) => act('/plan/rollback', { ...causeOf(given), generation: past.generation }),
    });
  const { frozen, mode, notes = [], past = [], generation, suppressedUntil } = planning;
  return html`<p aria-live="polite">Generation <b>${generation}</b>, mode <b>${mode}</b>, ${frozen ? html`<b>frozen</b>` : 'not frozen'}${suppressedUntil ? `, forecasts do not act until ${clock(suppressedUntil)}` : ''}.</p>
    <div class="actions">${frozen ? html`<button onClick=${() => command('unfreeze')}>Unfreeze…</button>` : html`<button onClick=${() => command('freeze')}>Freeze…</button>`}
      <button disabled=${mode !== 'advisory'} title=${mode === 'advisory' ? '' : 'Only in advisory mode something waits to be accepted'} onClick=${() => command('accept')}>Accept…</button></div>
    ${notes.length > 0 && html`<h3>What held it back</h3><ul>${notes.map((note) => html`<li>${typeof note === 'string' ? note : (note.text ?? JSON.stringify(note))}</li>`)}</ul>`}
    <h3>Earlier plans</h3>
    ${
      past.length === 0
        ? html`<p class="empty">There is none yet.</p>`
        : html`<ul class="plain past">${[...past].reverse().map(
            (
              one,
            ) => html`<li key=${one.generation}><div><b>${one.generation}</b> <small>${moment(one.at)} · ${said(one.weights)}</small></div>
        <button aria-label="Roll back to generation ${one.generation}" onClick=${() => goBack(one)}>Roll back…</button></li>`,
          )}</ul>`
    }`;
}

const said = (weights) =>
  Object.entries(weights)
    .map(([id, value]) => `${id} ${weight(value)}`)
    .join(', ');

export function Audit({ entries }) {
  if (entries.length === 0) return html`<p class="empty">Nobody has changed anything yet.</p>`;
  return html`<ul class="plain">${entries.map(
    ({ at, who, what, target, from, to, why }) =>
      html`<li><div><b>${what}</b> ${to?.title || from?.title || target} <small>${moment(at)} by ${who}${why ? `: ${why}` : ''}</small></div></li>`,
  )}</ul>`;
}
