// npm run grafana: writes the dashboard that Grafana imports from the code that makes it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { grafanaDashboard } from '../../src/integrations/prometheus/grafana-dashboard.ts';

const path = join(import.meta.dirname, '../../src/integrations/prometheus/grafana-dashboard.json');
writeFileSync(path, `${JSON.stringify(grafanaDashboard(), null, 2)}\n`);
