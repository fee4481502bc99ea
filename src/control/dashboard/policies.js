// Named policies: what the file says and what was changed here; a change is tried before it may be saved.

import { useEffect, useState } from 'preact/hooks';
import { causeOf } from './ask.js';
import { html } from './html.js';
import { counted, moment, percent, rate } from './words.js';

const NEW = { name: '', text: '{\n  "policy": "consistent_hash"\n}' };

/** @param newest the last thing that somebody changed: policies, too, may be other ones since. */
export function Policies({ ask, onAsk, connection, newest }) {
  const [known, setKnown] = useState(undefined);
  const [draft, setDraft] = useState(NEW);
  const [tried, setTried] = useState(undefined);
  const [problem, setProblem] = useState('');
  const load = async () => {
    try {
      const [{ body, etag }, past] = await Promise.all([
        ask('/sharding_policies'),
        ask('/sharding_policies/revisions?limit=10'),
      ]);
      setKnown({ ...body, etag, revisions: past.body.revisions });
      setProblem('');
    } catch (error) {
      setProblem(`Policies cannot be read: ${error.message}`);
    }
  };
  useEffect(() => {
    if (connection === 'live' || connection === 'polling') void load();
  }, [connection, newest]);
  const edit = (change) => {
    setDraft({ ...draft, ...change });
    setTried(undefined);
  };
  const path = `/sharding_policies/${encodeURIComponent(draft.name)}`;
  const dryRun = async (event) => {
    event.preventDefault();
    try {
      const { body } = await ask(`${path}?dryRun=1`, { method: 'PUT', body: JSON.parse(draft.text) });
      setTried(body);
      setProblem('');
    } catch (error) {
      setTried(undefined);
      setProblem(error instanceof SyntaxError ? `The document is no JSON: ${error.message}` : error.message);
    }
  };
  const change = (question, method, target, body) =>
    onAsk({
      ...question,
      needsReason: true,
      act: async (given) => {
        try {
          await ask(`${target}?${new URLSearchParams(causeOf(given))}`, { method, body, match: known.etag });
        } finally {
          // Also when somebody else was faster: a second try is made from what holds now, and tried anew.
          setTried(undefined);
          await load();
        }
      },
    });
  const save = () =>
    change(
      { title: `Save policy ${draft.name}`, text: effect(tried), confirm: 'Save' },
      'PUT',
      path,
      JSON.parse(draft.text),
    );
  /** Tried first: whoever deletes is told what it does. */
  const remove = async (name) => {
    const target = `/sharding_policies/${encodeURIComponent(name)}`;
    try {
      const { body } = await ask(`${target}?dryRun=1`, { method: 'DELETE' });
      setProblem(body.valid ? '' : `Policy ${name} cannot be deleted: ${body.problems.join('; ')}`);
      if (!body.valid) return;
      const text = `Its routes stand by themselves then. ${effect(body)}`;
      change({ title: `Delete policy ${name}`, text, confirm: `Delete ${name}` }, 'DELETE', target);
    } catch (error) {
      setProblem(`Policy ${name} cannot be deleted: ${error.message}`);
    }
  };
  const goBack = (revision) =>
    change(
      {
        title: `Roll back to revision ${revision}`,
        text: 'The policies become what they were then; that is a revision of its own.',
        confirm: 'Roll back',
      },
      'POST',
      `/sharding_policies/rollback/${revision}`,
    );
  const refused = known?.refusedReload;
  return html`<p class="problem" role="alert">${problem}</p>
    ${refused && html`<p class="note">The configuration file of ${moment(refused.at)} is not in force: ${refused.problems.join('; ')}</p>`}
    <div class="split">
      <div>${known && html`<${Known} known=${known} onEdit=${setDraftOf(edit)} onDelete=${remove} onRollback=${goBack} />`}</div>
      <form class="draft" onSubmit=${dryRun}>
        <label>Name<input value=${draft.name} required pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*" maxlength="63" autocomplete="off" onInput=${(event) => edit({ name: event.currentTarget.value })} /></label>
        <label>Document (JSON)<textarea rows="8" spellcheck="false" value=${draft.text} onInput=${(event) => edit({ text: event.currentTarget.value })}></textarea></label>
        <div class="actions"><button>Dry run</button><button type="button" class="primary" disabled=${tried?.valid !== true} onClick=${save}>Save…</button></div>
        <div class="tried" aria-live="polite"><${Tried} tried=${tried} /></div>
      </form>
    </div>`;
}

const setDraftOf = (edit) => (policy) =>
  edit({ name: policy.name, text: JSON.stringify(policy.api ?? policy.file ?? {}, null, 2) });

function Known({ known, onEdit, onDelete, onRollback }) {
  const past = [...new Set([...known.revisions.map(({ revision }) => revision), 0])].filter(
    (one) => one !== known.revision,
  );
  const at = new Map(known.revisions.map((one) => [one.revision, one.at]));
  return html`<p><small>Revision ${known.revision}${known.revision === 0 ? ': as the file says' : ''}</small></p>
    ${known.policies.length === 0 && html`<p class="empty">There is no named policy. Write one at the side; routes refer to it by shardingPolicy.</p>`}
    <ul class="plain">${known.policies.map(
      (
        policy,
      ) => html`<li key=${policy.name}><div><b>${policy.name}</b> <span class="badge">${policy.isDeleted ? 'deleted' : policy.source === 'api' ? (policy.file ? 'changed here, not as in the file' : 'made here') : 'from the file'}</span>
        <small>${policy.usedBy.length === 0 ? 'used by no route' : `used by ${policy.usedBy.join(', ')}`}</small></div>
        <div class="actions"><button aria-label="Edit ${policy.name}" onClick=${() => onEdit(policy)}>Edit</button>${
          !policy.isDeleted &&
          html`<button aria-label="Delete ${policy.name}" onClick=${() => void onDelete(policy.name)}>Delete…</button>`
        }</div></li>`,
    )}</ul>
    ${past.length > 0 && html`<h3>Earlier revisions</h3><ul class="plain">${past.map((revision) => html`<li key=${revision}><span>Revision ${revision} <small>${revision === 0 ? 'what the file says' : moment(at.get(revision))}</small></span><button aria-label="Roll back to revision ${revision}" onClick=${() => onRollback(revision)}>Roll back…</button></li>`)}</ul>`}`;
}

function effect({ shardsMoved, loadMoved }) {
  return `It moves ${counted(shardsMoved, 'shard')} and about ${rate(loadMoved)} to other regions.`;
}

function Tried({ tried }) {
  if (tried === undefined)
    return html`<small>A dry run tells what a change would do, and touches nothing. Only what was tried can be saved.</small>`;
  if (!tried.valid)
    return html`<p class="problem">It would be refused:</p><ul>${tried.problems.map((one) => html`<li>${one}</li>`)}</ul>`;
  const violated = tried.violatedPolicies ?? [];
  const loads = Object.entries(tried.projectedUtilisation ?? {});
  return html`<p><b>It is valid.</b> ${effect(tried)}</p>
    ${tried.diff.length === 0 ? html`<p><small>No route is treated differently.</small></p>` : html`<ul>${tried.diff.map(({ route, from, to }) => html`<li><b>${route}</b>: <code>${JSON.stringify(from)}</code> becomes <code>${JSON.stringify(to)}</code></li>`)}</ul>`}
    ${violated.length > 0 && html`<p class="problem">Policies that could not be kept:</p><ul>${violated.map(({ policy, route, problem }) => html`<li><b>${policy}</b> (route ${route}): ${problem}</li>`)}</ul>`}
    ${loads.length > 0 && html`<p><small>Utilisation after it: ${loads.map(([region, value]) => `${region} ${value === null ? 'not known' : percent(value)}`).join(', ')}</small></p>`}`;
}
