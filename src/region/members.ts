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
  /** Page of its own metrics in Prometheus' text form; undefined = it has none. */
  readonly metrics?: string | undefined;
}

export interface Registration extends MemberDescription, Stamp {}

interface Stamp {
  /** Grows with every start of the server: a number, or a ULID. */
  readonly incarnation: string;
  /** Epoch of the last answer, if there was one. Older than the registration's own: refused. A change needs it. */
  readonly epoch: number | undefined;
}

export interface Member extends MemberDescription {
  /** `static`, `file:…`, `dns:…`; `lease` for one that registered itself. */
  readonly source: string;
  readonly incarnation: string;
  /** Epoch of its registration. */
  readonly fence: number;
  /** Epoch that its registration gave. */
  readonly given: number | undefined;
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
  /** `leaseMs` is what is left of the lease, milliseconds. */
  { readonly ok: true; readonly epoch: number; readonly leaseMs: number } | Refused;

interface Refused {
  readonly ok: false;
  readonly reason: FenceReason;
  readonly detail: string;
}

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
  /** Last incarnation of servers that deregistered or were forgotten, oldest first. */
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
      // One address, one server: two would be told apart by nobody, and a drain of one would hold neither back.
      const holder = known === undefined ? this.#holderOf(server) : undefined;
      if (holder?.source === 'lease') this.#bury(holder);
      else if (known === undefined && (holder !== undefined || this.#members.size >= MAX_MEMBERS)) continue;
      // One that another source names already stays that source's.
      if (known !== undefined && (known.source !== source || isSame(known, server))) continue;
      this.#members.set(server.id, {
        ...server,
        source,
        incarnation: '',
        fence: this.#epoch,
        given: undefined,
        leaseUntil: Number.POSITIVE_INFINITY,
        isExpired: false,
        drain: (known ?? holder)?.drain,
      });
      isChanged = true;
    }
    if (isChanged) this.touch();
  }

  /**
   * The same registration again while its lease lives is the retry of one whose answer was lost: it gets the answer
   * and changes nothing, not even the lease, because nobody can tell it from a message that somebody repeats.
   * @param now monotonic milliseconds.
   */
  register({ incarnation, epoch, ...server }: Registration, now: number): FenceVerdict {
    const known = this.#members.get(server.id);
    const isSameStart = known !== undefined && compareIncarnations(known.incarnation, incarnation) === 0;
    const refusal = this.#fence(server, { incarnation, epoch }, known, now);
    if (refusal !== undefined) return refusal;
    if (isSameStart && isSame(known, server)) return this.#granted(known.leaseUntil - now);
    const squatter = this.#holderOf(server);
    if (squatter !== undefined) this.#bury(squatter);
    else if (known === undefined && this.#members.size >= MAX_MEMBERS) this.#forgetOne(now);
    this.#tombstones.delete(server.id);
    const ttl = this.#options.leaseTtl();
    this.#members.set(server.id, {
      ...server,
      source: 'lease',
      incarnation,
      fence: this.#epoch + 1,
      given: epoch,
      leaseUntil: now + ttl,
      isExpired: false,
      // A new start of a server is no longer the one that was told to drain.
      drain: isSameStart ? known.drain : undefined,
    });
    this.touch();
    return this.#granted(ttl);
  }

  #granted(leaseMs: number): FenceVerdict {
    return { ok: true, epoch: this.#epoch, leaseMs: Math.max(0, leaseMs) };
  }

  #fence(
    server: MemberDescription,
    stamp: Stamp,
    known: Member | undefined,
    now: number,
  ): Refused | undefined {
    const { incarnation } = stamp;
    const buried = this.#tombstones.get(server.id);
    if (buried !== undefined && compareIncarnations(incarnation, buried) <= 0) {
      return refuse('replayed', `incarnation must be above ${buried}, which is over, given ${incarnation}`);
    }
    if (known === undefined) {
      if (this.#members.size >= MAX_MEMBERS && !this.list().some((member) => isOver(member, now)))
        return refuse('too_many', `at most ${MAX_MEMBERS} servers`);
    } else {
      const refusal = fenceOf(known, server, stamp, now);
      if (refusal !== undefined) return refusal;
    }
    const holder = this.#holderOf(server);
    // A lease that is over holds no address: another server runs there now.
    return holder === undefined || isOver(holder, now)
      ? undefined
      : refuse('address_taken', `${server.url} is ${holder.id}'s`);
  }

  #holderOf({ id, url }: MemberDescription): Member | undefined {
    return this.list().find((member) => member.url === url && member.id !== id);
  }

  /** Makes room: the lease that has been over for the longest time. */
  #forgetOne(now: number): void {
    const [oldest] = this.list()
      .filter((member) => isOver(member, now))
      .sort((a, b) => a.leaseUntil - b.leaseUntil);
    if (oldest !== undefined) this.#bury(oldest);
  }

  renew(id: string, incarnation: string, now: number): FenceVerdict {
    const member = this.#members.get(id);
    if (member === undefined || member.source !== 'lease') {
      return refuse('not_registered', `${id} has no lease; register first`);
    }
    if (member.incarnation !== incarnation) {
      return refuse('stale_incarnation', `incarnation must be ${member.incarnation}, given ${incarnation}`);
    }
    const ttl = this.#options.leaseTtl();
    this.#members.set(id, { ...member, leaseUntil: now + ttl, isExpired: false });
    if (member.isExpired) this.touch();
    return this.#granted(ttl);
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
    this.#bury(member);
    this.touch();
    return this.#granted(0);
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

  /** Takes a member out and remembers which start of it is over. */
  #bury({ id, incarnation }: Member): void {
    this.#members.delete(id);
    this.#tombstones.delete(id);
    this.#tombstones.set(id, incarnation);
    if (this.#tombstones.size <= MAX_TOMBSTONES) return;
    const [oldest] = this.#tombstones.keys();
    this.#tombstones.delete(oldest!);
  }
}

function refuse(reason: FenceReason, detail: string): Refused {
  return { ok: false, reason, detail };
}

/** Also between two looks at the leases. */
const isOver = ({ isExpired, leaseUntil }: Member, now: number): boolean => isExpired || leaseUntil <= now;

/** What a member that is known has against a registration under its id. */
function fenceOf(
  known: Member,
  server: MemberDescription,
  { incarnation, epoch }: Stamp,
  now: number,
): Refused | undefined {
  if (known.source !== 'lease') return refuse('id_taken', `${known.id} is named by ${known.source}`);
  const order = compareIncarnations(incarnation, known.incarnation);
  if (order < 0) {
    return refuse(
      'stale_incarnation',
      `incarnation must be at least ${known.incarnation}, given ${incarnation}`,
    );
  }
  const isAgain = order === 0 && epoch === known.given && isSame(known, server);
  if (epoch !== undefined && epoch < known.fence && !isAgain) {
    return refuse('stale_epoch', `epoch must be at least ${known.fence}, given ${epoch}`);
  }
  if (order > 0) return undefined;
  if (isOver(known, now)) {
    return refuse(
      'replayed',
      `incarnation must be above ${incarnation}, whose lease is over, or the lease be renewed`,
    );
  }
  // Without it, nobody could tell a change from an earlier description that is sent again.
  return epoch !== undefined || isSame(known, server)
    ? undefined
    : refuse('stale_epoch', `epoch must be given with a change of incarnation ${incarnation}, given nothing`);
}

function isSame(a: MemberDescription, b: MemberDescription): boolean {
  return (
    a.url === b.url &&
    a.zone === b.zone &&
    a.weight === b.weight &&
    a.capacity === b.capacity &&
    a.metrics === b.metrics &&
    JSON.stringify(a.labels) === JSON.stringify(b.labels)
  );
}

/** Numbers by value, anything else (ULIDs) by text. */
export function compareIncarnations(a: string, b: string): number {
  if (/^\d+$/.test(a) && /^\d+$/.test(b)) return Math.sign(Number(BigInt(a) - BigInt(b)));
  return a === b ? 0 : a < b ? -1 : 1;
}
