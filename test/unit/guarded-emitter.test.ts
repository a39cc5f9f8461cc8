import assert from 'node:assert/strict';
import { GuardedEmitter } from '../../src/guarded-emitter.ts';

interface Events {
  said: [word: string];
}

/** Runs what makes errors surface, and gives those that did. */
async function surfaced(run: () => void): Promise<unknown[]> {
  const errors: unknown[] = [];
  // Mocha's own listeners would fail the test for what it is about.
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => {
    errors.push(error);
  });
  try {
    run();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of others) process.on('uncaughtException', listener);
  }
  return errors;
}

describe('14. A throwing listener hurts nobody else', () => {
  it('the others run, and the error surfaces as an uncaught exception', async () => {
    const emitter = new GuardedEmitter<Events>();
    const heard: string[] = [];
    const mine = new Error('mine');
    emitter.on('said', () => {
      throw mine;
    });
    emitter.on('said', (word) => heard.push(word));
    const errors = await surfaced(() => emitter.emit('said', 'a'));
    assert.deepEqual(heard, ['a']);
    assert.deepEqual(errors, [mine]);
  });

  it('listeners are found again by the function that was given', () => {
    const emitter = new GuardedEmitter<Events>();
    const heard: string[] = [];
    const listener = (word: string): void => {
      heard.push(word);
    };
    emitter.on('said', listener);
    assert.deepEqual(emitter.listeners('said'), [listener]);
    emitter.off('said', listener);
    emitter.addListener('said', listener);
    emitter.removeListener('said', listener);
    assert.equal(emitter.listenerCount('said'), 0);
    emitter.once('said', listener);
    emitter.emit('said', 'a');
    emitter.emit('said', 'b');
    assert.deepEqual(heard, ['a']);
    emitter.on('said', listener);
    emitter.off('said');
    assert.equal(emitter.listenerCount('said'), 0);
  });

  it('a listener has the context it was registered with', () => {
    const emitter = new GuardedEmitter<Events>();
    const context = { heard: '' };
    emitter.on(
      'said',
      function (this: typeof context, word) {
        this.heard = word;
      },
      context,
    );
    emitter.emit('said', 'a');
    assert.equal(context.heard, 'a');
  });
});
