// How good the models have been: what they said against what came, without what was prevented.

import { html } from './html.js';
import { memo } from './memo.js';
import { duration, figure, percent } from './words.js';

/** Rows from which on a table is longer than the space that it has. */
const LONG = 20;

export function Accuracy({ regions }) {
  if (regions.length === 0) return html`<p class="empty">Nothing has been assessed yet.</p>`;
  return html`<div class="scroll ${regions.length > LONG ? 'long' : ''}" tabindex="0" role="region" aria-label="Table of model accuracy"><table class="accuracy">
    <thead><tr><th>Region</th><th>Load model</th><th>Error (MASE; under 1 beats “as before”)</th><th>Came inside the interval</th><th>Failure model</th><th>Brier score (0 is best)</th><th>Failures foreseen</th><th>Lead</th><th>False alarms</th></tr></thead>
    <tbody>${regions.map((region) => html`<${Row} key=${region.id} ...${factsOf(region)} />`)}</tbody></table></div>`;
}

/** As they are shown: what differs further behind the point is drawn no other way. */
function factsOf({ id, accuracy, forecast, model, confidence }) {
  const { failure = {}, forecast: load = {} } = accuracy ?? {};
  return {
    id,
    method: `${forecast?.method ?? 'none yet'}${forecast ? `, confidence ${percent(forecast.confidence)}` : ''}`,
    mase: load.scored ? `${figure(load.mase)} over ${figure(load.scored)} forecasts` : 'not scored yet',
    inside: load.scored ? percent(load.coverage) : 'not scored yet',
    model: `${typeof model === 'string' ? model : (model?.name ?? 'rules')}, confidence ${percent(confidence)}`,
    brier: failure.scored ? figure(failure.brier) : 'not scored yet',
    foreseen: failure.events ? `${failure.foreseen} of ${failure.events}` : 'no failure yet',
    lead: failure.leadSeconds === undefined ? 'none yet' : duration(failure.leadSeconds * 1000),
    alarms:
      failure.falseAlarmsPerDay === undefined
        ? 'not known yet'
        : `${figure(failure.falseAlarmsPerDay)} a day`,
  };
}

const Row = memo(
  ({ id, method, mase, inside, model, brier, foreseen, lead, alarms }) => html`<tr><th scope="row">${id}</th>
    <td data-label="Load model">${method}</td>
    <td data-label="Error (MASE)">${mase}</td>
    <td data-label="Inside the interval">${inside}</td>
    <td data-label="Failure model">${model}</td>
    <td data-label="Brier score">${brier}</td>
    <td data-label="Failures foreseen">${foreseen}</td>
    <td data-label="Lead">${lead}</td>
    <td data-label="False alarms">${alarms}</td></tr>`,
);
