import t from 'tap';
import { answerLimitMs, modelled } from '../../src/compose/modelled.ts';
import { type Config, configSchema } from '../../src/config/schema.ts';

const configOf = (...responses: readonly string[]): Config =>
  configSchema.parse({
    listen: [{ address: '127.0.0.1:0' }],
    regions: [{ id: 'a', servers: ['http://10.0.0.1:80'] }],
    routes: responses.map((response, i) => ({
      id: `r${i}`,
      match: { path: `/${i}/**` },
      timeouts: { response },
    })),
  });

t.test('clients have given up where the most patient route has', async (t) => {
  t.equal(answerLimitMs(configOf('500ms', '2s')), 2000);
  t.equal(answerLimitMs(configOf('500ms', '0')), undefined, 'one waits for ever');
});

t.test('a change of it begins the models anew, one of other time-outs does not', async (t) => {
  t.strictSame(modelled(configOf('500ms', '2s')), modelled(configOf('800ms', '2s')));
  t.notSame(modelled(configOf('500ms', '2s')), modelled(configOf('500ms', '3s')));
});
