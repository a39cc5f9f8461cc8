import assert from 'node:assert/strict';
import { hasColour, isWide } from '../../../src/cli/terminal.ts';

describe('what is known of the terminal', () => {
  const cases: readonly (readonly [
    environment: Readonly<Record<string, string>>,
    onTerminal: boolean,
    elsewhere: boolean,
  ])[] = [
    [{}, true, false],
    [{ NO_COLOR: '1' }, false, false],
    [{ NO_COLOR: '' }, true, false],
    [{ TERM: 'dumb' }, false, false],
    [{ FORCE_COLOR: '1' }, true, true],
    [{ FORCE_COLOR: '' }, true, true],
    [{ FORCE_COLOR: '0' }, false, false],
    [{ FORCE_COLOR: 'false' }, false, false],
    [{ FORCE_COLOR: '1', NO_COLOR: '1' }, true, true],
    [{ FORCE_COLOR: '0', NO_COLOR: '' }, false, false],
  ];
  for (const [environment, onTerminal, elsewhere] of cases) {
    const name = JSON.stringify(environment);
    it(`${name}: ${onTerminal ? 'colour' : 'no colour'} on a terminal, ${elsewhere ? 'colour' : 'none'} elsewhere`, () => {
      assert.equal(hasColour(environment, true), onTerminal);
      assert.equal(hasColour(environment, false), elsewhere);
    });
  }

  it('two columns need their room; what has no width has enough', () => {
    assert.equal(isWide(80), false);
    assert.equal(isWide(100), false);
    assert.equal(isWide(120), true);
    assert.equal(isWide(undefined), true);
  });
});
