import assert from 'node:assert/strict';
import { nameOf, ordinalOf } from '../../../src/watch/reading.ts';

const scope = {
  ...{ statefulSet: 'web', serviceName: 'nginx.default.svc.cluster.local', portName: 'peer' },
  ...{ ordinalStart: 0, expectedPods: null, allowLoopback: false },
};

describe('The ordinal that a name has in the set', () => {
  for (const ordinal of [0, 7, 10, 2_147_483_647]) {
    it(`is ${ordinal} for the stable name of that ordinal`, () => {
      assert.equal(ordinalOf(nameOf(scope, ordinal), scope), ordinal);
    });
  }

  const others = ['web-', 'web-01', 'web-00', 'web-2147483648', 'web-99999999999999999999', 'web-1e3', 'web-+1'];
  const more = ['web--1', 'web-1 ', 'web-0x1', 'web-1.a', 'web-１', 'web', 'api-1', 'web1', 'xweb-1', ''];
  for (const label of [...others, ...more]) {
    it(`is none for ${JSON.stringify(label)}`, () => {
      assert.equal(ordinalOf(`${label}.${scope.serviceName}`, scope), null);
    });
  }

  for (const name of [
    'web-1',
    `web-1.${scope.serviceName}.`,
    'web-1.api.default.svc.cluster.local',
    scope.serviceName,
  ]) {
    it(`is none for ${name}, which is no name under the Service`, () => {
      assert.equal(ordinalOf(name, scope), null);
    });
  }
});
