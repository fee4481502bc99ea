// Text that Linux machines have written: a virtual machine with a memory disk and shaping devices, and a server with
// two disks, a card in a bond and containers.

import t from 'tap';
import { cardsOf, disksOf, memoryInUse } from '../../src/region/proc-text.ts';

const VIRTUAL_DISKS = `   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
 254       0 vda 886800 71242 22454874 1211315 413636 1865399 78101488 939534 0 430792 2589372 1448179 10988 64959568 399878 39523 38644
 253       0 zram0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
`;
const SERVER_DISKS = `   8       0 sda 100 0 2048 10 200 0 4096 20 0 300 30
   8       1 sda1 90 0 1024 9 190 0 4000 19 0 290 28
 259       0 nvme0n1 5 0 8 1 6 0 16 2 0 7 3
 259       1 nvme0n1p1 5 0 8 1 6 0 16 2 0 7 3
 252       0 dm-0 100 0 2048 10 200 0 4096 20 0 300 30
   9       0 md0 1 0 8 0 0 0 0 0 0 0 0
`;
const VIRTUAL_CARDS = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 651340818711 81303025    0    0    0     0          0         0 651340818711 81303025    0    0    0     0       0          0
  ifb0:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
  eth0: 2822583565  103413    0    0    0     0          0         0  9400686   69849    0    0    0     0       0          0
`;
// Counters that touch the colon, as they do once they are long.
const SERVER_CARDS = `Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
eno1:1000000000000 1 0 0 0 0 0 0 2000000000000 1 0 0 0 0 0 0
 bond0: 1000000000000 1 0 0 0 0 0 0 2000000000000 1 0 0 0 0 0 0
docker0: 500 1 0 0 0 0 0 0 600 1 0 0 0 0 0 0
veth12ab: 500 1 0 0 0 0 0 0 600 1 0 0 0 0 0 0
wlp2s0: 7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0
`;
const MEMORY = `MemTotal:        8000000 kB
MemFree:          100000 kB
MemAvailable:    6000000 kB
Buffers:          200000 kB
`;

t.test('whole disks are counted, once', async (t) => {
  t.strictSame(
    [...disksOf(VIRTUAL_DISKS)],
    [['vda', { busyMs: 430792, readBytes: 22454874 * 512, writtenBytes: 78101488 * 512 }]],
  );
  t.strictSame(
    [...disksOf(SERVER_DISKS)],
    [
      ['sda', { busyMs: 300, readBytes: 2048 * 512, writtenBytes: 4096 * 512 }],
      ['nvme0n1', { busyMs: 7, readBytes: 8 * 512, writtenBytes: 16 * 512 }],
    ],
  );
});

t.test('cards that lead out of the machine are counted, once', async (t) => {
  t.strictSame([...cardsOf(VIRTUAL_CARDS)], [['eth0', { receivedBytes: 2822583565, sentBytes: 9400686 }]]);
  t.strictSame(
    [...cardsOf(SERVER_CARDS)],
    [
      ['eno1', { receivedBytes: 1_000_000_000_000, sentBytes: 2_000_000_000_000 }],
      ['wlp2s0', { receivedBytes: 7, sentBytes: 8 }],
    ],
  );
});

t.test('memory that the page cache would give back is not in use', async (t) => {
  t.equal(memoryInUse(MEMORY), 0.25);
  t.equal(memoryInUse('MemTotal: 8000000 kB\nMemFree: 100 kB\n'), undefined, 'an old kernel does not say');
});

t.test('what is no such text says nothing', async (t) => {
  for (const text of [
    '',
    '\n\n',
    'nonsense: x y z\n',
    ' 8 0 sda 1 2 x 4',
    ':::\n',
    ' 8 0 sda\n',
    'eth0:\n',
  ]) {
    t.equal(disksOf(text).size, 0, JSON.stringify(text));
    t.equal(cardsOf(text).size, 0, JSON.stringify(text));
    t.equal(memoryInUse(text), undefined, JSON.stringify(text));
  }
});
