import assert from 'node:assert/strict';
import { PeerDiscoveryError } from '../../src/errors.ts';
import { checkOptions, checkWaitOptions } from '../../src/options.ts';
import { lowestOrdinal } from '../../src/topology/primary.ts';

describe('20. A mistake is named: bad options fail with the option, the value and what was expected', () => {
  const rows: { options: unknown; option: string; says: RegExp }[] = [
    { options: 7, option: 'options', says: /option options is 7; expected an object/ },
    { options: { prot: 'peer' }, option: 'prot', says: /prot is "peer"; expected no such option; there are .*port/ },
    { options: { podName: '' }, option: 'podName', says: /podName is ""; expected a name/ },
    { options: { service: 7 }, option: 'service', says: /service is 7/ },
    { options: { port: 0 }, option: 'port', says: /port is 0; expected an SRV port name/ },
    { options: { port: 65_536 }, option: 'port', says: /port is 65536/ },
    { options: { port: '_peer' }, option: 'port', says: /port is "_peer"/ },
    { options: { port: '7000' }, option: 'port', says: /port is "7000"/ },
    { options: { ordinalStart: -1 }, option: 'ordinalStart', says: /ordinalStart is -1; expected an integer from 0/ },
    { options: { expectedPods: 1.5 }, option: 'expectedPods', says: /expectedPods is 1.5/ },
    { options: { primary: 'web-0' }, option: 'primary', says: /primary is "web-0"; expected fixedPrimary\(\)/ },
    {
      options: { primary: lowestOrdinal() },
      option: 'expectedPods',
      says: /expectedPods is missing; expected the number/,
    },
    {
      options: { refresh: { minIntervalMs: '1s' } },
      option: 'refresh.minIntervalMs',
      says: /is "1s"; expected an integer/,
    },
    {
      options: { refresh: { maxIntervalMs: 500 } },
      option: 'refresh.maxIntervalMs',
      says: /at least refresh.minIntervalMs/,
    },
    { options: { refresh: { jitter: 1 } }, option: 'refresh.jitter', says: /no such option/ },
    {
      options: { absence: { removeAfterMs: 1 } },
      option: 'absence.removeAfterMs',
      says: /at least absence.missingAfterMs/,
    },
    { options: { dns: { servers: [] } }, option: 'dns.servers', says: /is an empty array; expected an array of IP/ },
    { options: { dns: { servers: [53] } }, option: 'dns.servers', says: /is 53/ },
    { options: { dns: { attempts: 0 } }, option: 'dns.attempts', says: /is 0; expected an integer from 1 to 10/ },
    { options: { signal: {} }, option: 'signal', says: /signal is an object; expected an AbortSignal/ },
  ];
  for (const { options, option, says } of rows) {
    it(`${option}: ${says.source}`, () => {
      assert.throws(
        () => checkOptions(options, 'member'),
        (error) => {
          assert.ok(error instanceof PeerDiscoveryError);
          assert.equal(error.code, 'ERR_OPTION');
          assert.equal(error.option, option);
          assert.match(error.message, says);
          return true;
        },
      );
    });
  }

  it('podName is no option of an observer', () => {
    assert.throws(
      () => checkOptions({ podName: 'web-0' }, 'observer'),
      /option podName is "web-0"; expected no such option/,
    );
  });

  it('a quorum is a positive integer', () => {
    assert.throws(() => lowestOrdinal({ quorum: 0 }), /option quorum is 0; expected an integer of at least 1/);
  });

  it('the options of a waiter', () => {
    assert.deepEqual(checkWaitOptions(undefined), { timeoutMs: 30_000, stableForMs: 0, signal: undefined });
    assert.equal(checkWaitOptions({ timeoutMs: Infinity }).timeoutMs, Infinity);
    assert.throws(() => checkWaitOptions({ timeoutMs: -1 }), /option timeoutMs is -1/);
    assert.throws(() => checkWaitOptions({ timeout: 1 } as never), /option timeout is 1; expected no such option/);
  });
});
