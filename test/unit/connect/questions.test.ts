import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { fakeTime } from '../../support/fake-time.ts';
import { member, observer, record } from '../../support/member.ts';
import type { Fault, View } from '../../support/scripted-dns.ts';
import type { QuestionMessage } from '../../../src/diagnostics.ts';

// "node:diagnostics_channel for each question and each connection, every start paired with one end", and stats(). The
// connections are in test/cluster/connect.test.ts.

const three: View = { 'web-0': '10.0.0.1', 'web-1': '10.0.0.2', 'web-2': '10.0.0.3' };

describe('Each DNS question has one start and one end on diagnostics_channel', () => {
  const time = fakeTime();
  let started: { readonly message: QuestionMessage; readonly atStart: QuestionMessage }[] = [];
  let ended: QuestionMessage[] = [];
  const onStart = (message: unknown): void => {
    started.push({ message: message as QuestionMessage, atStart: { ...(message as QuestionMessage) } });
  };
  const onEnd = (message: unknown): void => {
    ended.push(message as QuestionMessage);
  };
  beforeEach(() => {
    started = [];
    ended = [];
    subscribe('stateful-peers:question:start', onStart);
    subscribe('stateful-peers:question:end', onEnd);
  });
  afterEach(() => {
    unsubscribe('stateful-peers:question:start', onStart);
    unsubscribe('stateful-peers:question:end', onEnd);
  });

  const outcomes: readonly (readonly [View | Fault, string, string | undefined])[] = [
    [three, 'found', undefined],
    [{}, 'nxdomain', undefined],
    ['servfail', 'failed', 'servfail'],
    ['refused', 'failed', 'refused'],
    ['silent', 'failed', 'timeout'],
    ['closed', 'failed', 'network'],
    ['garbage', 'failed', 'malformed'],
    ['truncated', 'failed', 'truncated'],
  ];
  for (const [view, outcome, reason] of outcomes) {
    it(`${typeof view === 'string' ? view : outcome}: and stats() counts it`, async () => {
      const { peers, dns } = time.opened(observer());
      dns.views = [view];
      dns.latencyMs = 7;
      await time.clock.tickAsync(30_000);
      await peers.close();
      assert.ok(started.length >= 4);
      assert.deepEqual(
        new Set(ended),
        new Set(started.map(({ message }) => message)),
        'the object of the start is that of the end',
      );
      assert.equal(ended.length, started.length);
      for (const { atStart } of started) assert.deepEqual(Object.keys(atStart).sort(), ['name', 'type']);
      const whole = ended.filter((message) => message.outcome !== 'abandoned');
      assert.ok(whole.some((message) => message.outcome === outcome && message.reason === reason));
      for (const { durationMs } of whole) assert.ok(durationMs !== undefined && durationMs >= 7);
      const count = (kind: string): number => ended.filter((message) => message.outcome === kind).length;
      assert.deepEqual(peers.stats().questions, {
        found: count('found'),
        nxdomain: count('nxdomain'),
        nodata: count('nodata'),
        failed: count('failed'),
      });
      assert.ok(peers.stats().questions[outcome as 'found'] > 0);
    });
  }

  it('a question that is under way when the library is closed ends as abandoned', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = ['silent'];
    await time.clock.tickAsync(300);
    assert.deepEqual([started.length, ended.length], [1, 0]);
    await peers.close();
    assert.deepEqual(
      ended.map(({ outcome }) => outcome),
      ['abandoned'],
    );
    assert.deepEqual(peers.stats().questions, { found: 0, nxdomain: 0, nodata: 0, failed: 0 });
  });

  it('stats() counts moves and hints', async () => {
    const { peers, dns } = time.opened(observer());
    dns.views = [three];
    await time.clock.tickAsync(100);
    assert.deepEqual([peers.stats().moves, peers.stats().hints], [0, 0]);
    peers.report('web-0', 'unreachable', '10.0.0.1');
    await time.clock.tickAsync(450);
    assert.equal(peers.stats().hints, 5);
    dns.views = [{ ...three, 'web-0': '10.0.0.8', 'web-1': '10.0.0.9' }];
    await time.clock.tickAsync(10_000);
    assert.equal(peers.stats().moves, 2);
    const { questions, freshness, pools } = peers.stats();
    assert.equal(questions.found, started.length);
    assert.equal(freshness.state, 'fresh');
    assert.deepEqual(pools, { open: 0, draining: 0, inFlight: 0, waiting: 0 });
  });

  it('stats() counts no move where a member hears of its own port for the first time', async () => {
    const { peers, dns } = time.opened(member('web-2', ['10.0.0.3']));
    const lines = record(peers);
    dns.views = [three];
    await time.clock.tickAsync(100);
    // The event is there, so that folding the events gives the snapshot; its lists are empty.
    assert.deepEqual(
      lines.filter((line) => line.startsWith('peerMoved')),
      ['peerMoved web-2 10.0.0.3>10.0.0.3 (answer)'],
    );
    assert.equal(peers.stats().moves, 0);
  });
});
