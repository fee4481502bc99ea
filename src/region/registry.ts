// Which servers there are, and which live cell each has. A server keeps its slot over reloads; a slot that
// becomes free is given out again only after all others, so that late reports of a gone server find it
// empty, and with a new incarnation.

import { MAX_SERVERS } from '../core/model.ts';
import type { LiveCells } from '../state/live-cells.ts';

export interface RegisteredServer {
  readonly id: string;
  readonly origin: string;
  readonly region: string;
}

export interface SlotEntry extends RegisteredServer {
  readonly slot: number;
  readonly incarnation: number;
}

export class ServerRegistry {
  readonly #cells: LiveCells;
  readonly #entries = new Map<string, SlotEntry>();
  /** Longest free first. */
  readonly #free: number[] = Array.from({ length: MAX_SERVERS }, (_, slot) => slot);

  constructor(cells: LiveCells) {
    this.#cells = cells;
  }

  /**
   * Makes `servers` the registered ones.
   * @returns a sentence when there are more than there are slots; then nothing is changed.
   */
  replace(servers: readonly RegisteredServer[]): string | undefined {
    if (servers.length > MAX_SERVERS) {
      return `cannot look after ${servers.length} servers: at most ${MAX_SERVERS} in all regions together`;
    }
    const ids = new Set(servers.map((server) => server.id));
    for (const [id, entry] of this.#entries) {
      if (ids.has(id)) continue;
      this.#entries.delete(id);
      this.#free.push(entry.slot);
    }
    for (const server of servers) {
      const known = this.#entries.get(server.id);
      if (known !== undefined) {
        this.#entries.set(server.id, { ...known, ...server });
        continue;
      }
      const slot = this.#free.shift()!;
      this.#cells.resetSlot(slot);
      this.#entries.set(server.id, { ...server, slot, incarnation: this.#cells.incarnation(slot) });
    }
    return undefined;
  }

  entries(): SlotEntry[] {
    return [...this.#entries.values()];
  }

  /** Live cell of one server; undefined when it is not registered. */
  slotOf(id: string): number | undefined {
    return this.#entries.get(id)?.slot;
  }

  /** Slot and incarnation by server id, as the snapshot wants them. */
  slots(): Record<string, { slot: number; incarnation: number }> {
    return Object.fromEntries(
      this.entries().map(({ id, slot, incarnation }) => [id, { slot, incarnation }] as const),
    );
  }
}
