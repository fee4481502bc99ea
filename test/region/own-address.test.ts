import t from 'tap';
import { isOwnAddress } from '../../src/region/own-address.ts';

const local = new Set(['127.0.0.1', '10.0.0.7', 'fd00::7']);

t.test('a URL that leads back to us is told, however it is written', async (t) => {
  const ours = ['127.0.0.1:9500', '0.0.0.0:9501', '[::]:9502', 'proxy.example:80'];
  for (const url of [
    'http://127.0.0.1:9500',
    'http://localhost:9500',
    'http://[::1]:9500',
    'http://10.0.0.7:9501',
    'http://localhost:9501',
    'http://[fd00::7]:9502',
    'http://proxy.example',
    'http://PROXY.example:80',
    'http://proxy.example.',
    'http://localhost.:9500',
    'http://me.localhost:9500',
    'http://0.0.0.0:9500',
    'http://0.0.0.0:9501',
    'http://[::]:9500',
    'http://[::ffff:127.0.0.1]:9500',
    'http://[::ffff:10.0.0.7]:9501',
    'http://2130706433:9500',
  ]) {
    t.ok(isOwnAddress(url, ours, local), url);
  }
  for (const url of [
    'http://127.0.0.1:9511',
    'http://10.0.0.7:9500',
    'http://10.0.0.8:9501',
    'https://proxy.example',
    'http://other.example:80',
    'http://0.0.0.0:9511',
    'http://[::ffff:10.0.0.8]:9501',
  ]) {
    t.notOk(isOwnAddress(url, ours, local), url);
  }
});
