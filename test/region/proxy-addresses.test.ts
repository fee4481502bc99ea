import t from 'tap';
import { ProxyAddresses } from '../../src/region/proxy-addresses.ts';

t.test('what a proxy says counts until it says otherwise, or nothing for five minutes', async (t) => {
  const proxies = new ProxyAddresses();
  proxies.say('a', ['10.0.0.1:80', '10.0.0.1:81'], 0);
  proxies.say('b', ['10.0.0.2:80'], 1000);
  t.strictSame(proxies.list(1000), ['10.0.0.1:80', '10.0.0.1:81', '10.0.0.2:80']);
  proxies.say('a', ['10.0.0.1:82'], 2000);
  t.strictSame(proxies.list(300_999), ['10.0.0.2:80', '10.0.0.1:82']);
  t.strictSame(proxies.list(301_000), ['10.0.0.1:82'], 'b has gone elsewhere');
  t.strictSame(proxies.list(302_000), []);
});

t.test(
  'of a thousand and one proxies the one that was silent for the longest time is forgotten',
  async (t) => {
    const proxies = new ProxyAddresses();
    for (let i = 0; i < 1000; i++) proxies.say(`p${i}`, [`h:${i}`], i);
    proxies.say('p0', ['h:0'], 1000);
    proxies.say('late', ['h:late'], 1001);
    const list = proxies.list(1001);
    t.equal(list.length, 1000);
    t.notOk(list.includes('h:1'));
    t.ok(list.includes('h:0'));
  },
);
