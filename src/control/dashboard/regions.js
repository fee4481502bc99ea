// Regions: weights step by step, risk with its reasons, load against capacity, and what an operator may do.

import { causeOf } from './ask.js';
import { html } from './html.js';
import { colourOf } from './shards.js';
import { clock, figure, percent, rate, weight } from './words.js';

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
        <th scope="row"><button class="link" aria-pressed=${row.id === selected} onClick=${() => onSelect(row.id)}>
          <i class="swatch" style=${{ background: colourOf(row.index) }}></i>${row.id}</button></th>
        <td data-label="State"><${State} row=${row} /></td>
        <td data-label="Weight"><${Weight} row=${row} top=${top} /></td>
        <td data-label="Risk"><${Risk} score=${row.score} /></td>
        <td data-label="Load"><${Load} row=${row} /></td>
        <td data-label="Servers">${row.healthy} of ${row.registered} healthy</td>
        <td data-label="Operator"><${Actions} row=${row} onAsk=${onAsk} act=${act} /></td>
      </tr>`,
    )}</tbody>
  </table></div>`;
}

function State({ row }) {
  const { word, override } = row;
  const until = override?.until === undefined ? '' : ` until ${clock(override.until)}`;
  return html`<span class="badge ${word}">${word}</span>
    ${override && html`<small>${override.kind}${until} by ${override.by}: ${override.reason}</small>`}`;
}

function Weight({ row, top }) {
  const { base, risk, desired, effective } = row.weight;
  const title = `base ${weight(base)}, after risk ${weight(risk)}, desired ${weight(desired)}, effective ${weight(effective)}`;
  return html`<div class="bar" role="img" aria-label=${title} title=${title}>
      <b style=${{ width: `${(100 * effective) / top}%`, background: colourOf(row.index) }}></b>
      <u style=${{ left: `${(100 * desired) / top}%` }}></u>
    </div>
    <small>base ${weight(base)} › risk ${weight(risk)} › desired <strong class="desired">${weight(desired)}</strong> · effective <strong class="effective">${weight(effective)}</strong></small>`;
}

function Risk({ score }) {
  if (score === undefined) return html`<small>not assessed</small>`;
  const { risk, reasons = [], failureProbability, overloadProbability } = score;
  const level = risk >= 0.6 ? 'high' : risk >= 0.2 ? 'some' : 'low';
  return html`<div class="bar ${level}"><b style=${{ width: `${100 * (risk ?? 0)}%` }}></b></div>
    <small><strong>${percent(risk)}</strong> · failure ${percent(failureProbability)} · overload ${percent(overloadProbability)}</small>
    ${reasons.map((reason) => html`<small class="reason">${reasonText(reason)}</small>`)}`;
}

const reasonText = (reason) =>
  typeof reason === 'string' ? reason : (reason.text ?? JSON.stringify(reason));

function Load({ row }) {
  const { requestsPerSecond, capacity, utilisation, score } = row;
  const share = utilisation ?? (capacity ? requestsPerSecond / capacity : undefined);
  const forecast = score?.forecast;
  return html`${
    share !== undefined &&
    html`<div class="bar ${share > 0.9 ? 'high' : share > 0.7 ? 'some' : 'load'}"><b style=${{ width: `${Math.min(100, 100 * share)}%` }}></b></div>`
  }
    <small><strong>${rate(requestsPerSecond)}</strong>${capacity ? ` of ${figure(capacity)} (${percent(share)})` : ', capacity not known'}</small>
    ${forecast && html`<small>forecast ${figure(forecast.p50)}, at most ${rate(forecast.p90)} (90 %)</small>`}`;
}

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

function Actions({ row, onAsk, act }) {
  const { id, override } = row;
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
                label: `Base weight, 0 to 1000 (configured: ${weight(row.configuredWeight)})`,
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
    override
      ? button('undrain', 'Undrain')
      : [button('drain', 'Drain'), button('maintenance', 'Maintenance'), button('weight', 'Weight')]
  }</div>`;
}
