// One of our own programs as a subject of a bench, with a folder and a configuration of its own.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../src/core/clock.ts';
import type { RunningProcess } from './child-process.ts';
import { MAIN, PROJECT_ROOT } from './proxies/foreshard.ts';
import { launchAndWait } from './rig.ts';

/**
 * Started and ready; throws with the reason when it does not get so far.
 * @param folder is made. @param controlUrl of its control port, without a path.
 */
export async function startOwn(
  verb: 'proxy' | 'rem',
  config: object,
  {
    folder,
    controlUrl,
    clock,
  }: { readonly folder: string; readonly controlUrl: string; readonly clock: Clock },
): Promise<RunningProcess> {
  mkdirSync(folder);
  const launch = {
    files: [{ name: 'config.yaml', text: JSON.stringify(config) }],
    command: {
      command: process.execPath,
      args: [MAIN, verb, '--config', join(folder, 'config.yaml')],
      cwd: PROJECT_ROOT,
    },
    readyUrl: `${controlUrl}/readyz`,
  };
  const outcome = await launchAndWait(launch, folder, clock);
  if (outcome.kind === 'failed') throw new Error(`foreshard ${verb} did not start: ${outcome.why}`);
  return outcome.process;
}
