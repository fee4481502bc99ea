// Whom a list of trusted peers takes in.

import t from 'tap';
import { TrustedPeers } from '../../src/proxy/trusted-peers.ts';

t.test('what is known of an address is what the list says, however many have asked', async (t) => {
  const peers = new TrustedPeers(['127.0.0.0/8', '10.1.0.0/16', '::1/128']);
  for (let round = 0; round < 2; round++) {
    // More than are remembered.
    const hosts = Array.from({ length: 3000 }, (_, i) => `${i >> 8}.${i & 255}`);
    t.ok(hosts.every((host) => peers.includes(`10.1.${host}`) && !peers.includes(`10.2.${host}`)));
    for (const trusted of ['127.0.0.1', '::1']) t.ok(peers.includes(trusted), trusted);
    for (const other of ['10.2.0.1', '::2', 'unix', '', 'not an address'])
      t.notOk(peers.includes(other), other);
    t.equal(peers.clientAddress('127.0.0.1', '6.6.6.6, 192.0.2.7, 10.1.0.1, 127.0.0.1', ''), '192.0.2.7');
    t.equal(peers.clientAddress('127.0.0.1', '192.0.2.7, unix, 10.1.0.1', ''), '10.1.0.1');
    t.equal(peers.clientAddress('192.0.2.8', '10.1.0.1', ''), '192.0.2.8', 'who is not trusted names nobody');
  }
});
