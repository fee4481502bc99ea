// A dialog before anything is changed: what will happen, why it is done (it stands in the audit log), by whom. The
// browser's own dialog keeps the focus inside and closes on Escape.

import { useEffect, useRef, useState } from 'preact/hooks';
import { html } from './html.js';

const NAME = 'foreshard.by';

/** @param question `{ title, text, confirm, fields?, needsReason, act({ reason, by, ...fields }) }` */
export function Ask({ question, onClose }) {
  const dialog = useRef(null);
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    if (!dialog.current.open) dialog.current.showModal();
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(event.currentTarget));
    if (given.by) sessionStorage.setItem(NAME, given.by);
    setBusy(true);
    setProblem('');
    try {
      await question.act(given);
      dialog.current?.close();
    } catch (error) {
      setProblem(error.message);
    } finally {
      setBusy(false);
    }
  };
  return html`<dialog ref=${dialog} onClose=${onClose} aria-labelledby="ask-title">
    <form onSubmit=${submit}>
      <h2 id="ask-title">${question.title}</h2>
      <p>${question.text}</p>
      ${(question.fields ?? []).map(
        ({ name, label, ...rest }) =>
          html`<label key=${name}>${label}<input name=${name} ...${rest} /></label>`,
      )}
      ${
        question.needsReason &&
        html`<label>Reason<input name="reason" required maxlength="500" autocomplete="off" autofocus /></label>
          <label>Your name<input name="by" maxlength="64" placeholder="operator" defaultValue=${sessionStorage.getItem(NAME) ?? ''} /></label>`
      }
      <p class="problem" role="alert">${problem}</p>
      <div class="actions">
        <button type="button" onClick=${() => dialog.current.close()}>Cancel</button>
        <button class="primary" disabled=${isBusy}>${question.confirm}</button>
      </div>
    </form>
  </dialog>`;
}

/** What is sent as it was given, without fields that were left empty. */
export function causeOf({ reason, by }) {
  return { reason, ...(by ? { by } : {}) };
}
