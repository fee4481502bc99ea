// From counters at two moments to what a manager reports of its machine.

import t from 'tap';
import { HostMeter, type HostReader } from '../../src/region/host-telemetry.ts';
import { regionReport } from '../../src/region/report.ts';
import { HandClock } from '../rig/clock.ts';

class HandHost implements HostReader {
  busyMs = 0;
  totalMs = 0;
  inUse: number | undefined = 0.5;
  readonly #disks = new Map<string, { busyMs: number; readBytes: number; writtenBytes: number }>();
  readonly #cards = new Map<string, { receivedBytes: number; sentBytes: number }>();
  readonly speeds = new Map<string, number>();
  cpu = () => ({ busyMs: this.busyMs, totalMs: this.totalMs });
  memory = () => this.inUse;
  disks = () => new Map(this.#disks);
  cards = () => new Map(this.#cards);
  speedOf = (card: string) => this.speeds.get(card);

  disk(name: string, busyMs: number, readBytes = 0, writtenBytes = 0): this {
    this.#disks.set(name, { busyMs, readBytes, writtenBytes });
    return this;
  }

  card(name: string, receivedBytes: number, sentBytes: number): this {
    this.#cards.set(name, { receivedBytes, sentBytes });
    return this;
  }
}

t.test('a machine is as busy as it was since the last look', async (t) => {
  const clock = new HandClock();
  const host = new HandHost()
    .disk('sda', 100, 1000, 0)
    .disk('sdb', 0)
    .card('eth0', 500, 500)
    .card('eth1', 0, 0);
  host.speeds.set('eth0', 1000);
  const meter = new HostMeter(clock, host);
  t.strictSame(meter.measure(), {}, 'no time has passed');
  clock.pass(2000);
  host.busyMs += 500;
  host.totalMs += 4000;
  host.disk('sda', 600, 3000, 4000).disk('sdb', 1500).card('eth0', 900, 1300).card('eth1', 100, 0);
  const measured = meter.measure();
  t.strictSame(measured, {
    cpu: 0.125,
    memory: 0.5,
    // 1,500 of 2,000 ms on the busier of the two.
    disk_io: 0.75,
    disk_read_bytes_per_second: 1000,
    disk_written_bytes_per_second: 2000,
    // 800 bytes sent in two seconds on a card of 1,000 bytes/s; eth1 does not tell its speed.
    network: 0.4,
    network_received_bytes_per_second: 250,
    network_sent_bytes_per_second: 400,
  });
  t.ok(regionReport.shape.telemetry.safeParse(measured).success, 'and a proxy takes it');
});

t.test('what cannot be known is left out, not guessed', async (t) => {
  const clock = new HandClock();
  const host = new HandHost().card('eth0', 0, 0);
  host.inUse = undefined;
  const meter = new HostMeter(clock, host);
  clock.pass(1000);
  host.card('eth0', 10, 20).card('eth1', 1e9, 1e9);
  t.strictSame(meter.measure(), { network_received_bytes_per_second: 10, network_sent_bytes_per_second: 20 });
});

t.test('a counter that begins anew is no negative rate', async (t) => {
  const clock = new HandClock();
  const host = new HandHost().card('eth0', 1e12, 1e12).disk('sda', 1e9, 1e12, 1e12);
  const meter = new HostMeter(clock, host);
  clock.pass(1000);
  host.card('eth0', 5, 5).disk('sda', 5, 5, 5);
  t.match(meter.measure(), {
    disk_io: 0,
    disk_read_bytes_per_second: 0,
    network_received_bytes_per_second: 0,
    network_sent_bytes_per_second: 0,
  });
});
