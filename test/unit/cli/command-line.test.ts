import assert from 'node:assert/strict';
import { parseCommandLine, usage } from '../../../src/cli/command-line.ts';

const watched = { isFast: false, isJson: false, isKept: false, isSingleAddress: false };

describe('the command line of stateful-peers', () => {
  const understood: readonly (readonly [args: readonly string[], options: Partial<typeof watched>])[] = [
    [['demo'], {}],
    [['demo', '--fast'], { isFast: true }],
    [['--json', 'demo'], { isJson: true }],
    [['demo', '--keep'], { isKept: true }],
    [['demo', '--single-address', '--fast'], { isSingleAddress: true, isFast: true }],
  ];
  for (const [args, options] of understood) {
    it(`understands ${args.join(' ')}`, () => {
      assert.deepEqual(parseCommandLine(args), { kind: 'demo', options: { ...watched, ...options } });
    });
  }

  const misused: readonly (readonly [args: readonly string[], why: string])[] = [
    [[], 'no command'],
    [['story'], "unknown command 'story'"],
    [['demo', 'twice'], "unexpected 'twice'"],
    [['demo', '--slow'], "unknown option '--slow'"],
    [['demo', '-x'], "unknown option '-x'"],
    [['demo', '--fast=yes'], "option '--fast' does not take an argument"],
  ];
  for (const [args, why] of misused) {
    it(`refuses ${JSON.stringify(args.join(' '))}: ${why}`, () => {
      assert.deepEqual(parseCommandLine(args), { kind: 'misused', why });
    });
  }

  for (const args of [['--help'], ['-h'], ['demo', '--help']]) {
    it(`gives help to ${args.join(' ')}`, () => {
      assert.deepEqual(parseCommandLine(args), { kind: 'help' });
    });
  }

  it('its help names every option that is understood', () => {
    for (const option of ['--fast', '--json', '--keep', '--single-address', '--help']) {
      assert.match(usage, new RegExp(`^  ${option} `, 'm'));
    }
  });
});
