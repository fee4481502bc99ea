// A desk of the control API at which nothing happens.

import type { Config } from '../../src/config/schema.ts';
import type { DeskPort } from '../../src/control/desk-port.ts';

export function idleDesk(written: Config): DeskPort {
  return {
    overrides: {},
    policies: {},
    revision: 0,
    written,
    refusedReload: undefined,
    madeOf: (config) => ({ ok: true, config }),
    override: async () => ({ ok: true, revision: 0 }),
    changePolicies: async () => ({ ok: true, revision: 0 }),
    note: async () => {},
    audit: async () => [],
    revisions: async () => [],
    revisionOf: async () => undefined,
  };
}
