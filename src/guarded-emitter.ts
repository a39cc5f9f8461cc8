import { EventEmitter } from 'eventemitter3';

type Listener = (...args: never[]) => unknown;

/**
 * eventemitter3's EventEmitter, with one difference: a listener that throws hurts nobody else. The other listeners
 * run, and the error surfaces as an uncaught exception, as it would from a timer.
 *
 * eventemitter3 itself lets the error out of `emit`, which then skips the later listeners. So each listener is
 * registered behind a guard, and found again by the function that the caller gave.
 */
export class GuardedEmitter<Events extends EventEmitter.ValidEventTypes> extends EventEmitter<Events> {
  readonly #guards = new WeakMap<Listener, Listener>();

  override on<Name extends EventEmitter.EventNames<Events>>(
    event: Name,
    listener: EventEmitter.EventListener<Events, Name>,
    context?: unknown,
  ): this {
    return super.on(event, this.#guard(listener), context);
  }

  /** The same as `on`. */
  override addListener<Name extends EventEmitter.EventNames<Events>>(
    event: Name,
    listener: EventEmitter.EventListener<Events, Name>,
    context?: unknown,
  ): this {
    return this.on(event, listener, context);
  }

  override once<Name extends EventEmitter.EventNames<Events>>(
    event: Name,
    listener: EventEmitter.EventListener<Events, Name>,
    context?: unknown,
  ): this {
    return super.once(event, this.#guard(listener), context);
  }

  /** Takes a listener away, by the function that was given; all of the event without one. */
  override off<Name extends EventEmitter.EventNames<Events>>(
    event: Name,
    listener?: EventEmitter.EventListener<Events, Name>,
    context?: unknown,
    once?: boolean,
  ): this {
    return super.off(event, listener === undefined ? undefined : this.#guard(listener), context, once);
  }

  override removeListener<Name extends EventEmitter.EventNames<Events>>(
    event: Name,
    listener?: EventEmitter.EventListener<Events, Name>,
    context?: unknown,
    once?: boolean,
  ): this {
    return this.off(event, listener, context, once);
  }

  override listeners<Name extends EventEmitter.EventNames<Events>>(
    event: Name,
  ): EventEmitter.EventListener<Events, Name>[] {
    return super.listeners(event).map((guard) => originals.get(guard) ?? guard) as never;
  }

  #guard<Given extends Listener>(listener: Given): Given {
    // What a caller in JavaScript gives may be anything; eventemitter3 says the same.
    const given: unknown = listener;
    if (typeof given !== 'function') throw new TypeError('The listener must be a function');
    // eventemitter3 takes a once-listener away by what was registered: the guard itself.
    if (originals.has(listener)) return listener;
    const known = this.#guards.get(listener);
    if (known !== undefined) return known as Given;
    const guard = function (this: unknown, ...args: never[]): void {
      try {
        listener.apply(this, args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    };
    this.#guards.set(listener, guard);
    originals.set(guard, listener);
    return guard as unknown as Given;
  }
}

const originals = new WeakMap<Listener, Listener>();
