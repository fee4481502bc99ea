// Where a route's requests may go at all: asked by the check of the file, by whoever makes plans and by whoever
// serves by them, who must agree.

/**
 * Eligible regions of a route: its own list or all, within its residency lock. The lock is part of the set, so
 * that nothing that happens inside a set (retry, fallback, panic) can leave it.
 */
export function eligibleRegions(
  { regions }: { readonly regions: readonly { readonly id: string }[] },
  route: { readonly regions?: readonly string[] | undefined; readonly residency: readonly string[] },
): readonly string[] {
  const listed = route.regions ?? regions.map(({ id }) => id);
  return route.residency.length === 0 ? listed : listed.filter((id) => route.residency.includes(id));
}
