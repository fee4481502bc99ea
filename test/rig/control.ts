// What a proxy says of itself on its control port, for stories.

export interface ServerView {
  readonly id: string;
  readonly health: string;
  readonly ejected: boolean;
  readonly inFlight: number;
  readonly attempts: number;
}

export async function controlJson<T>(controlUrl: string, path: string): Promise<T> {
  const response = await fetch(`${controlUrl}${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as T;
}

/** Servers of all regions. */
export async function serversOf(controlUrl: string): Promise<ServerView[]> {
  const { regions } = await controlJson<{ regions: { servers: ServerView[] }[] }>(controlUrl, '/regions');
  return regions.flatMap(({ servers }) => servers);
}

/** Sum of a metric over the label sets that contain `labels` (`region="eu"`); 0 when there is none. */
export async function metricOf(controlUrl: string, name: string, labels = ''): Promise<number> {
  const text = await (await fetch(`${controlUrl}/metrics`)).text();
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => line.includes(labels))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
