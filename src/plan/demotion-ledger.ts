// Were the demotions for something? A prediction that was acted on cannot be scored by what came of it: the
// failure it prevented would count as a false alarm (design, "Scores of predictions that were acted on are
// censored"). So demotions are judged apart, by what still shows: the region failed anyway, its probe share or
// its own metrics were ill, or the load it would have had unmoved was more than it can take. Pure.

export interface DemotedRegion {
  readonly id: string;
  /** Something of the predicted trouble shows now. */
  readonly isInTrouble: boolean;
}

interface Episode {
  readonly since: number;
  readonly hadTrouble: boolean;
  /** When the demotion ended; undefined while it lasts. */
  readonly endedAt: number | undefined;
}

export interface DemotionLedger {
  /** Wall milliseconds of the first observation. */
  readonly startedAt: number | undefined;
  readonly episodes: ReadonlyMap<string, Episode>;
  /** Wall milliseconds of the ends of demotions that nothing followed. */
  readonly falseEnds: readonly number[];
}

export const EMPTY_LEDGER: DemotionLedger = { startedAt: undefined, episodes: new Map(), falseEnds: [] };

const DAY_MS = 86_400_000;
/** Over this many days needless demotions are counted. */
const KEPT_DAYS = 7;

/**
 * @param demoted regions that forecasts have lowered now.
 * @param troubled regions in which trouble shows, demoted or not.
 * @param horizon milliseconds after a demotion's end within which the trouble may still come.
 */
export function observeDemotions(
  ledger: DemotionLedger,
  demoted: readonly DemotedRegion[],
  { now, horizon, troubled }: { now: number; horizon: number; troubled: ReadonlySet<string> },
): DemotionLedger {
  const episodes = new Map<string, Episode>();
  const falseEnds = ledger.falseEnds.filter((at) => now - at < KEPT_DAYS * DAY_MS);
  const current = new Map(demoted.map((region) => [region.id, region]));
  for (const [id, episode] of ledger.episodes) {
    if (current.has(id)) continue;
    const hadTrouble = episode.hadTrouble || troubled.has(id);
    const endedAt = episode.endedAt ?? now;
    if (now - endedAt < horizon) episodes.set(id, { ...episode, hadTrouble, endedAt });
    else if (!hadTrouble) falseEnds.push(endedAt);
  }
  for (const { id, isInTrouble } of demoted) {
    const before = ledger.episodes.get(id);
    // One that comes back within the horizon is the same demotion.
    episodes.set(id, {
      since: before?.since ?? now,
      hadTrouble: isInTrouble || (before?.hadTrouble ?? false),
      endedAt: undefined,
    });
  }
  return { startedAt: ledger.startedAt ?? now, episodes, falseEnds };
}

export function falseShiftRate(
  { startedAt, falseEnds }: DemotionLedger,
  now: number,
): { readonly falseShiftsPerDay: number; readonly observedDays: number } {
  const observedDays = startedAt === undefined ? 0 : Math.min(KEPT_DAYS, (now - startedAt) / DAY_MS);
  return { falseShiftsPerDay: observedDays > 0 ? falseEnds.length / observedDays : 0, observedDays };
}
