// Regions: weights step by step, risk with its reasons, load against capacity, and what an operator may do.

import { causeOf } from './ask.js';
import { html } from './html.js';
import { memo } from './memo.js';
import { colourOf } from './shards.js';
import { figure, moment, percent, rate, weight } from './words.js';

export function Regions({ rows, selected, onSelect, onAsk, act }) {
  if (rows.length === 0) return html`<p class="empty">No region is known yet.</p>`;
  const top = Math.max(
    1,
    ...rows.map((row) => Math.max(row.weight.base, row.weight.effective, row.weight.desired)),
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of regions"><table class="regions">
    <thead><tr><th>Region</th><th>State</th><th>Weight</th><th>Risk</th><th>Load</th><th>Servers</th><th>Operator</th></tr></thead>
    <tbody>${rows.map(
      (row) => html`<tr key=${row.id} class=${row.id === selected ? 'selected' : ''} data-region=${row.id}>
        <th scope="row"><${Name} id=${row.id} index=${row.index} isSelected=${row.id === selected} onSelect=${onSelect} /></th>
        <td data-label="State"><${State} word=${row.word} ...${row.override ?? {}} /></td>
        <td data-label="Weight"><${Weight} ...${row.weight} top=${top} index=${row.index} /></td>
        <td data-label="Risk"><${Risk} ...${riskFacts(row.score)} /></td>
        <td data-label="Load"><${Load} ...${loadFacts(row)} /></td>
        <td data-label="Servers">${row.healthy} of ${row.registered} healthy</td>
        <td data-label="Operator"><${Actions} id=${row.id} configuredWeight=${row.configuredWeight}
          isOverridden=${row.override !== undefined} onAsk=${onAsk} act=${act} /></td>
      </tr>`,
    )}</tbody>
  </table></div>`;
}

const Name = memo(
  ({
    id,
    index,
    isSelected,
    onSelect,
  }) => html`<button class="link" aria-pressed=${isSelected} onClick=${() => onSelect(id)}>
    <i class="swatch" style=${{ background: colourOf(index) }}></i>${id}</button>`,
);

const State = memo(({ word, kind, until, by, reason }) => {
  const lasts = until === undefined ? '' : ` until ${moment(until)}`;
  return html`<span class="badge ${word}">${word}</span>
    ${kind && html`<small>${kind}${lasts} by ${by}: ${reason}</small>`}`;
});

const Weight = memo(({ base, risk, desired, effective, top, index }) => {
  const title = `base ${weight(base)}, after risk ${weight(risk)}, desired ${weight(desired)}, effective ${weight(effective)}`;
  return html`<div class="bar" role="img" aria-label=${title} title=${title}>
      <b style=${{ width: `${(100 * effective) / top}%`, background: colourOf(index) }}></b>
      <u style=${{ left: `${(100 * desired) / top}%` }}></u>
    </div>
    <small>base ${weight(base)} › risk ${weight(risk)} › desired <strong class="desired">${weight(desired)}</strong> · effective <strong class="effective">${weight(effective)}</strong></small>`;
});

/** As it is shown: what differs further behind the point is drawn no other way. */
function riskFacts(score) {
  if (score === undefined) return {};
  const { risk, reasons = [], failureProbability, overloadProbability } = score;
  return {
    risk: risk ?? 0,
    said: percent(risk),
    failure: percent(failureProbability),
    overload: percent(overloadProbability),
    reasons: reasons.map(reasonText).join('\n'),
  };
}

const Risk = memo(({ risk, said, failure, overload, reasons }) => {
  if (said === undefined) return html`<small>not assessed</small>`;
  const level = risk >= 0.6 ? 'high' : risk >= 0.2 ? 'some' : 'low';
  return html`<div class="bar ${level}"><b style=${{ width: `${100 * risk}%` }}></b></div>
    <small><strong>${said}</strong> · failure ${failure} · overload ${overload}</small>
    ${reasons.split('\n').map((reason) => reason && html`<small class="reason">${reason}</small>`)}`;
});

const reasonText = (reason) =>
  typeof reason === 'string' ? reason : (reason.text ?? JSON.stringify(reason));

/** As it is shown, like that of the risk. */
function loadFacts({ requestsPerSecond, capacity, utilisation, score }) {
  const share = utilisation ?? (capacity ? requestsPerSecond / capacity : undefined);
  const forecast = score?.forecast;
  return {
    filled: share === undefined ? undefined : Math.min(100, Math.round(100 * share)),
    level: share > 0.9 ? 'high' : share > 0.7 ? 'some' : 'load',
    now: rate(requestsPerSecond),
    of: capacity ? ` of ${figure(capacity)} (${percent(share)})` : ', capacity not known',
    ahead: forecast && `forecast ${figure(forecast.p50)}, at most ${rate(forecast.p90)} (90 %)`,
  };
}

const Load = memo(
  ({ filled, level, now, of, ahead }) => html`${
    filled !== undefined && html`<div class="bar ${level}"><b style=${{ width: `${filled}%` }}></b></div>`
  }
    <small><strong>${now}</strong>${of}</small>
    ${ahead && html`<small>${ahead}</small>`}`,
);

const KINDS = {
  drain: { title: 'Drain', text: 'gets no new keys; what it owns moves to other regions with time.' },
  maintenance: { title: 'Maintenance of', text: 'is taken out for planned work; what it owns moves away.' },
  weight: { title: 'Set the weight of', text: 'gets this base weight in place of the configured one.' },
  undrain: { title: 'Undrain', text: 'is treated as the file says again.' },
};
const LASTS = {
  name: 'for',
  label: 'For how long (30m, 2h; empty: until undrain)',
  pattern: '\\d+(ms|s|m|h|d)',
  autocomplete: 'off',
};

const Actions = memo(({ id, configuredWeight, isOverridden, onAsk, act }) => {
  const ask = (kind) =>
    onAsk({
      title: `${KINDS[kind].title} ${id}`,
      text: `Region ${id} ${KINDS[kind].text} A human's word wins over every forecast.`,
      confirm: `${KINDS[kind].title} ${id}`,
      needsReason: true,
      fields: [
        ...(kind === 'weight'
          ? [
              {
                name: 'weight',
                label: `Base weight, 0 to 1000 (configured: ${weight(configuredWeight)})`,
                type: 'number',
                min: 0,
                max: 1000,
                step: 'any',
                required: true,
              },
            ]
          : []),
        ...(kind === 'undrain' ? [] : [LASTS]),
      ],
      act: (given) =>
        act(`/regions/${encodeURIComponent(id)}/${kind}`, {
          ...causeOf(given),
          ...(given.for ? { for: given.for } : {}),
          ...(kind === 'weight' ? { weight: Number(given.weight) } : {}),
        }),
    });
  const button = (kind, label) =>
    html`<button key=${kind} aria-label="${label} ${id}" onClick=${() => ask(kind)}>${label}</button>`;
  return html`<div class="actions">${
    isOverridden
      ? button('undrain', 'Undrain')
      : [button('drain', 'Drain'), button('maintenance', 'Maintenance'), button('weight', 'Weight')]
  }</div>`;
});
