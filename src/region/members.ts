// Who belongs to a region: servers that the configuration, a file or DNS names, and servers that registered
// themselves under a lease. Incarnation and epoch fence what comes too late or twice; a missed lease makes a
// server unhealthy, not forgotten. Pure but for its own memory: time is an argument. One per manager, written
// by its API and its sources, read by the report.

import type { DrainState } from './drain.ts';

export interface MemberDescription {
  readonly id: string;
  /** `http://host:port` */
  readonly url: string;
  readonly zone: string;
  readonly weight: number;
  /** Requests/s; undefined = not told. */
  readonly capacity: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Registration extends MemberDescription {
  /** Grows with every start of the server: a number, or a ULID. */
  readonly incarnation: string;
  /** Epoch that the server saw last, if it saw one: an older one than its own registration's is refused. */
  readonly epoch: number | undefined;
}

export interface Member extends MemberDescription {
  /** `static`, `file:…`, `dns:…`; `lease` for one that registered itself. */
  readonly source: string;
  readonly incarnation: string;
  /** Epoch of its registration. */
  readonly fence: number;
  /** Monotonic milliseconds; Infinity for one that needs no lease. */
  readonly leaseUntil: number;
  readonly isExpired: boolean;
  readonly drain: DrainState | undefined;
}

export type FenceReason =
  | 'stale_incarnation'
  | 'stale_epoch'
  | 'replayed'
  | 'not_registered'
  | 'address_taken'
  | 'id_taken'
  | 'too_many';

export type FenceVerdict =
  | { readonly ok: true; readonly epoch: number }
  | { readonly ok: false; readonly reason: FenceReason; readonly detail: string };

export interface MembersOptions {
  /** Milliseconds. */
  readonly leaseTtl: () => number;
  /** Where the count of epochs begins: after a restart it must be above all that came before. */
  readonly firstEpoch: number;
  readonly onChange: () => void;
}

/** Most members of one manager. */
export const MAX_MEMBERS = 1000;
// Registrations that ended and must not come back by an old message.
const MAX_TOMBSTONES = 4096;

export class Members {
  readonly #options: MembersOptions;
  readonly #members = new Map<string, Member>();
  /** Last incarnation of servers that deregistered, oldest first. */
  readonly #tombstones = new Map<string, string>();
  #epoch: number;

  constructor(options: MembersOptions) {
    this.#options = options;
    this.#epoch = options.firstEpoch;
  }

  /** Grows with everything that a proxy should hear of. */
  get epoch(): number {
    return this.#epoch;
  }

  list(): Member[] {
    return [...this.#members.values()];
  }

  get(id: string): Member | undefined {
    return this.#members.get(id);
  }

  /** Something that the report shows has changed. */
  touch(): void {
    this.#epoch += 1;
    this.#options.onChange();
  }

  /** Makes `servers` the members of one source; those it no longer names are gone. */
  setSource(source: string, servers: readonly MemberDescription[]): void {
    const wanted = new Map(servers.map((server) => [server.id, server]));
    let isChanged = false;
    for (const member of this.#members.values()) {
      if (member.source !== source || wanted.has(member.id)) continue;
      this.#members.delete(member.id);
      isChanged = true;
    }
    for (const server of wanted.values()) {
      const known = this.#members.get(server.id);
      if (known === undefined && this.#members.size >= MAX_MEMBERS) continue;
      // One that another source names already stays that source's.
      if (known !== undefined && (known.source !== source || isSame(known, server))) continue;
      this.#members.set(server.id, {
        ...server,
        source,
        incarnation: '',
        fence: this.#epoch,
        leaseUntil: Number.POSITIVE_INFINITY,
        isExpired: false,
        drain: known?.drain,
      });
      isChanged = true;
    }
    if (isChanged) this.touch();
  }

  /** @param now monotonic milliseconds. */
  register({ incarnation, epoch, ...server }: Registration, now: number): FenceVerdict {
    const known = this.#members.get(server.id);
    const refusal = this.#fence(server, incarnation, epoch, known);
    if (refusal !== undefined) return refusal;
    const isNew =
      known === undefined || known.isExpired || known.incarnation !== incarnation || !isSame(known, server);
    this.#tombstones.delete(server.id);
    if (isNew) this.touch();
    this.#members.set(server.id, {
      ...server,
      source: 'lease',
      incarnation,
      fence: known?.incarnation === incarnation ? known.fence : this.#epoch,
      leaseUntil: now + this.#options.leaseTtl(),
      isExpired: false,
      // A new start of a server is no longer the one that was told to drain.
      drain: known?.incarnation === incarnation ? known.drain : undefined,
    });
    return { ok: true, epoch: this.#epoch };
  }

  #fence(
    server: MemberDescription,
    incarnation: string,
    epoch: number | undefined,
    known: Member | undefined,
  ): Extract<FenceVerdict, { ok: false }> | undefined {
    const buried = this.#tombstones.get(server.id);
    if (buried !== undefined && compareIncarnations(incarnation, buried) <= 0) {
      return refuse(
        'replayed',
        `incarnation must be above ${buried}, which deregistered, given ${incarnation}`,
      );
    }
    if (known === undefined) {
      if (this.#members.size >= MAX_MEMBERS) return refuse('too_many', `at most ${MAX_MEMBERS} servers`);
    } else if (known.source !== 'lease') {
      return refuse('id_taken', `${server.id} is named by ${known.source}`);
    } else if (compareIncarnations(incarnation, known.incarnation) < 0) {
      return refuse(
        'stale_incarnation',
        `incarnation must be at least ${known.incarnation}, given ${incarnation}`,
      );
    } else if (epoch !== undefined && epoch < known.fence) {
      return refuse('stale_epoch', `epoch must be at least ${known.fence}, given ${epoch}`);
    }
    const other = this.list().find((member) => member.url === server.url && member.id !== server.id);
    return other === undefined ? undefined : refuse('address_taken', `${server.url} is ${other.id}'s`);
  }

  renew(id: string, incarnation: string, now: number): FenceVerdict {
    const member = this.#members.get(id);
    if (member === undefined || member.source !== 'lease') {
      return refuse('not_registered', `${id} has no lease; register first`);
    }
    if (member.incarnation !== incarnation) {
      return refuse('stale_incarnation', `incarnation must be ${member.incarnation}, given ${incarnation}`);
    }
    this.#members.set(id, { ...member, leaseUntil: now + this.#options.leaseTtl(), isExpired: false });
    if (member.isExpired) this.touch();
    return { ok: true, epoch: this.#epoch };
  }

  /** @param incarnation when given, only this start of the server is deregistered. */
  deregister(id: string, incarnation: string | undefined): FenceVerdict {
    const member = this.#members.get(id);
    if (member === undefined || member.source !== 'lease') {
      return refuse('not_registered', `${id} has no lease`);
    }
    if (incarnation !== undefined && member.incarnation !== incarnation) {
      return refuse('stale_incarnation', `incarnation must be ${member.incarnation}, given ${incarnation}`);
    }
    this.#members.delete(id);
    this.#bury(id, member.incarnation);
    this.touch();
    return { ok: true, epoch: this.#epoch };
  }

  setDrain(id: string, drain: DrainState | undefined): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    this.#members.set(id, { ...member, drain });
    this.touch();
  }

  /**
   * Ends the leases that are over.
   * @returns ids of those whose lease ended just now.
   */
  expire(now: number): string[] {
    const ended: string[] = [];
    for (const member of this.#members.values()) {
      if (member.isExpired || member.leaseUntil > now) continue;
      this.#members.set(member.id, { ...member, isExpired: true });
      ended.push(member.id);
    }
    if (ended.length > 0) this.touch();
    return ended;
  }

  #bury(id: string, incarnation: string): void {
    this.#tombstones.set(id, incarnation);
    if (this.#tombstones.size <= MAX_TOMBSTONES) return;
    const [oldest] = this.#tombstones.keys();
    this.#tombstones.delete(oldest!);
  }
}

function refuse(reason: FenceReason, detail: string): Extract<FenceVerdict, { ok: false }> {
  return { ok: false, reason, detail };
}

function isSame(a: MemberDescription, b: MemberDescription): boolean {
  return (
    a.url === b.url &&
    a.zone === b.zone &&
    a.weight === b.weight &&
    a.capacity === b.capacity &&
    JSON.stringify(a.labels) === JSON.stringify(b.labels)
  );
}

/** Numbers by value, anything else (ULIDs) by text. */
export function compareIncarnations(a: string, b: string): number {
  if (/^\d{1,18}$/.test(a) && /^\d{1,18}$/.test(b)) return Math.sign(Number(BigInt(a) - BigInt(b)));
  return a === b ? 0 : a < b ? -1 : 1;
}
