// Asks the control port of a running proxy or engine for a command of the command line.

import { rootCause } from '../core/fetch-text.ts';

const CONTROL_TIMEOUT_MS = 5000;

export interface ControlQuestion {
  /** `http://host:port` */
  readonly control: string;
  readonly path: string;
  readonly token: string | undefined;
  /** Posted as JSON; undefined = GET. */
  readonly body?: unknown;
}

export type ControlAnswer =
  | { readonly ok: true; readonly document: unknown }
  | { readonly ok: false; readonly problem: string };

export async function askControl({ control, path, token, body }: ControlQuestion): Promise<ControlAnswer> {
  try {
    const answer = await fetch(new URL(path, control), {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(CONTROL_TIMEOUT_MS),
    });
    if (answer.ok) return { ok: true, document: await answer.json() };
    return { ok: false, problem: `${control} answered ${answer.status}: ${await answer.text()}` };
  } catch (error) {
    return { ok: false, problem: `cannot reach ${control}: ${rootCause(error)}` };
  }
}
