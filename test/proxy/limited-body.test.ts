import t from 'tap';
import type { BodyFailure, BodySink, RequestBody } from '../../src/proxy/downstream.ts';
import { LimitedBody } from '../../src/proxy/limited-body.ts';

/** A body without a declared length that hands out these pieces. */
function bodyOf(...pieces: readonly string[]): RequestBody {
  return {
    length: undefined,
    isConsumed: false,
    collect: async () => ({ kind: 'whole', bytes: Buffer.from(pieces.join('')) }),
    stream: (sink: BodySink) => {
      for (const piece of pieces) sink.data(Buffer.from(piece));
      sink.end();
    },
    pause: () => {},
    resume: () => {},
  };
}

function streamed(body: RequestBody): { passed: string; ended: boolean; failures: BodyFailure[] } {
  const seen = { passed: '', ended: false, failures: [] as BodyFailure[] };
  body.stream({
    data: (chunk) => {
      seen.passed += Buffer.from(chunk).toString();
      return true;
    },
    end: () => {
      seen.ended = true;
    },
    failed: (why) => seen.failures.push(why),
  });
  return seen;
}

t.test('a body up to the limit passes whole', async (t) => {
  t.strictSame(streamed(new LimitedBody(bodyOf('12', '345'), 5)), {
    passed: '12345',
    ended: true,
    failures: [],
  });
  t.match(await new LimitedBody(bodyOf('12345'), 5).collect(100, 0), { kind: 'whole' });
});

t.test('a longer one fails once, with nothing behind the limit passed on, and never ends', async (t) => {
  t.strictSame(streamed(new LimitedBody(bodyOf('1234', '56', '78'), 5)), {
    passed: '1234',
    ended: false,
    failures: ['too_large'],
  });
  t.strictSame(await new LimitedBody(bodyOf('123456'), 5).collect(100, 0), {
    kind: 'failed',
    why: 'too_large',
  });
});
