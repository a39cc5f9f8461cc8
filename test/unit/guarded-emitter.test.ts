import assert from 'node:assert/strict';
import { GuardedEmitter } from '../../src/guarded-emitter.ts';
import { uncaught } from '../support/uncaught.ts';

interface Events {
  said: [word: string, times?: number];
  done: [];
}

describe('14. A throwing listener hurts nobody else: the emitter', () => {
  let emitter: GuardedEmitter<Events>;
  let heard: string[];
  const listener = (word: string): void => void heard.push(word);
  beforeEach(() => {
    emitter = new GuardedEmitter<Events>();
    heard = [];
  });

  for (const way of ['on', 'addListener', 'once'] as const) {
    it(`${way}: the others run, and the error surfaces as an uncaught exception, after emit`, async () => {
      const mine = new Error('mine');
      emitter[way]('said', () => {
        throw mine;
      });
      emitter.on('said', listener);
      const errors = await uncaught(() => {
        assert.equal(emitter.emit('said', 'a'), true);
        heard.push('emit is over');
      });
      assert.deepEqual(heard, ['a', 'emit is over']);
      assert.deepEqual(errors, [mine]);
    });
  }

  it('each of several errors surfaces', async () => {
    const errors = await uncaught(() => {
      for (const word of ['a', 'b']) {
        emitter.on('said', () => {
          // eslint-disable-next-line @typescript-eslint/only-throw-error -- what listeners do
          throw word;
        });
      }
      emitter.emit('said', 'x');
    });
    assert.deepEqual(errors, ['a', 'b']);
  });

  it('a once-listener that throws is gone', async () => {
    await uncaught(() => {
      emitter.once('done', () => {
        throw new Error('mine');
      });
      emitter.emit('done');
    });
    assert.equal(emitter.listenerCount('done'), 0);
    assert.equal(emitter.emit('done'), false);
  });

  for (const add of ['on', 'addListener', 'once'] as const) {
    for (const remove of ['off', 'removeListener'] as const) {
      it(`${remove}() takes away what ${add}() gave, by the function that was given`, () => {
        emitter[add]('said', listener);
        assert.deepEqual(emitter.listeners('said'), [listener]);
        assert.equal(emitter[remove]('said', listener), emitter);
        assert.deepEqual(emitter.listeners('said'), []);
        emitter.emit('said', 'a');
        assert.deepEqual(heard, []);
      });
    }
  }

  it('once() hears one event, also beside on() of the same function', () => {
    emitter.once('said', listener);
    emitter.emit('said', 'a');
    emitter.emit('said', 'b');
    assert.deepEqual(heard, ['a']);
    emitter.on('said', listener);
    emitter.once('said', listener);
    emitter.emit('said', 'c');
    emitter.emit('said', 'd');
    assert.deepEqual(heard, ['a', 'c', 'c', 'd']);
  });

  it('off() with the once flag leaves the lasting listener', () => {
    emitter.on('said', listener);
    emitter.once('said', listener);
    emitter.off('said', listener, undefined, true);
    emitter.emit('said', 'a');
    emitter.emit('said', 'b');
    assert.deepEqual(heard, ['a', 'b']);
  });

  it('off() of a function that was never given does nothing', () => {
    emitter.on('said', listener);
    emitter.off('said', () => undefined);
    assert.equal(emitter.listenerCount('said'), 1);
  });

  it('off() without a function, and removeAllListeners(), take all away', () => {
    emitter.on('said', listener).on('said', () => undefined);
    emitter.off('said');
    assert.equal(emitter.listenerCount('said'), 0);
    emitter.on('said', listener).on('done', () => undefined);
    emitter.removeAllListeners('said');
    assert.deepEqual(emitter.eventNames(), ['done']);
    emitter.removeAllListeners();
    assert.deepEqual(emitter.eventNames(), []);
  });

  it('one function can listen to two events, and in two emitters', () => {
    const other = new GuardedEmitter<Events>();
    const both = (): void => void heard.push('both');
    emitter.on('said', both).on('done', both);
    other.on('done', both);
    emitter.off('said', both);
    emitter.emit('said', 'a');
    emitter.emit('done');
    other.emit('done');
    assert.deepEqual(heard, ['both', 'both']);
  });

  it('a listener has its arguments, and as `this` the emitter or the context that was given', () => {
    const context = { name: 'mine' };
    const seen: unknown[] = [];
    const note = function (this: unknown, ...args: unknown[]): void {
      seen.push(this === emitter ? 'the emitter' : this, args);
    };
    emitter.on('said', note);
    emitter.on('said', note, context);
    emitter.emit('said', 'a', 2);
    assert.deepEqual(seen, ['the emitter', ['a', 2], context, ['a', 2]]);
    emitter.off('said', note, context);
    assert.equal(emitter.listenerCount('said'), 1);
  });

  for (const nothing of [undefined, null, 'listener', {}]) {
    it(`${JSON.stringify(nothing)} is refused as a listener at once, not at the first event`, () => {
      const refusal = { name: 'TypeError', message: /listener.*function/ };
      assert.throws(() => emitter.on('said', nothing as never), refusal);
      assert.throws(() => emitter.once('said', nothing as never), refusal);
      assert.equal(emitter.listenerCount('said'), 0);
    });
  }
});
