// How good the models have been: what they said against what came, without what was prevented.

import { html } from './html.js';
import { duration, figure, percent } from './words.js';

export function Accuracy({ regions }) {
  if (regions.length === 0) return html`<p class="empty">Nothing has been assessed yet.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of model accuracy"><table class="accuracy">
    <thead><tr><th>Region</th><th>Load model</th><th>Error (MASE; under 1 beats “as before”)</th><th>Came inside the interval</th><th>Failure model</th><th>Brier score (0 is best)</th><th>Failures foreseen</th><th>Lead</th><th>False alarms</th></tr></thead>
    <tbody>${regions.map(({ id, accuracy, forecast, model, confidence }) => {
      const { failure = {}, forecast: load = {} } = accuracy ?? {};
      return html`<tr key=${id}><th scope="row">${id}</th>
        <td data-label="Load model">${forecast?.method ?? 'none yet'}${forecast ? `, confidence ${percent(forecast.confidence)}` : ''}</td>
        <td data-label="Error (MASE)">${load.scored ? `${figure(load.mase)} over ${figure(load.scored)} forecasts` : 'not scored yet'}</td>
        <td data-label="Inside the interval">${load.scored ? percent(load.coverage) : 'not scored yet'}</td>
        <td data-label="Failure model">${typeof model === 'string' ? model : (model?.name ?? 'rules')}, confidence ${percent(confidence)}</td>
        <td data-label="Brier score">${failure.scored ? figure(failure.brier) : 'not scored yet'}</td>
        <td data-label="Failures foreseen">${failure.events ? `${failure.foreseen} of ${failure.events}` : 'no failure yet'}</td>
        <td data-label="Lead">${failure.leadSeconds === undefined ? 'none yet' : duration(failure.leadSeconds * 1000)}</td>
        <td data-label="False alarms">${failure.falseAlarmsPerDay === undefined ? 'not known yet' : `${figure(failure.falseAlarmsPerDay)} a day`}</td></tr>`;
    })}</tbody></table></div>`;
}
