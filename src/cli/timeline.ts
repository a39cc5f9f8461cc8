import { styleText } from 'node:util';
import type { Report } from './report.ts';
import type { Verdict } from './verdict.ts';

const columnWidth = 52;

type Colour = 'bold' | 'green' | 'red' | 'yellow' | 'cyan' | 'gray';

/** Writes the story, one line a fact: what concerns the library at the left, today's loop at the right. */
export class Timeline {
  readonly #write: (line: string) => void;
  readonly #isJson: boolean;
  readonly #hasColour: boolean;
  #loopSaid = '';
  readonly #trouble = new Map<string, string | null>();

  constructor(isJson: boolean, hasColour: boolean, write: (line: string) => void) {
    this.#isJson = isJson;
    this.#hasColour = hasColour;
    this.#write = write;
  }

  intro(lines: readonly string[]): void {
    if (this.#isJson) return;
    for (const line of lines) this.#write(line);
    this.#write('');
    this.#write(`${' '.repeat(7)}${'stateful-peers'.padEnd(columnWidth)}| today's loop`);
  }

  show(report: Report): void {
    if (this.#isJson) {
      this.#write(JSON.stringify(report));
      return;
    }
    const { what, from, at } = report;
    const seconds = (at / 1_000).toFixed(1).padStart(5);
    if (what.kind === 'act') this.#write(this.#paint('bold', `\n${seconds}  == ${what.title}`));
    const left = this.#left(report);
    if (left !== null) this.#write(`${seconds}  ${this.#paint(colourOf(left), left.padEnd(columnWidth))}|`);
    const right = from === 'loop' ? this.#right(report) : null;
    if (right !== null) this.#write(`${seconds}  ${' '.repeat(columnWidth)}| ${this.#paint(colourOf(right), right)}`);
  }

  verdict(verdict: Verdict): void {
    if (this.#isJson) {
      this.#write(JSON.stringify({ kind: 'verdict', ...verdict }));
      return;
    }
    this.#write('\nVerdict, computed from what the processes reported');
    for (const { claim, holds, from } of verdict.claims) {
      this.#write(`  ${holds ? this.#paint('green', 'holds ') : this.#paint('red', 'FAILED')}  ${claim}`);
      this.#write(`          ${from}`);
    }
    this.#write('Measured beside it');
    for (const line of verdict.measured) this.#write(`  ${line}`);
    this.#write(verdict.passed ? this.#paint('green', 'PASSED') : this.#paint('red', 'FAILED'));
  }

  #paint(colour: Colour | null, text: string): string {
    return this.#hasColour && colour !== null ? styleText(colour, text) : text;
  }

  #left({ what, from }: Report): string | null {
    switch (what.kind) {
      case 'hello':
        return `${from}: I am ${what.podName ?? '?'} of ${what.service.split('.')[0] ?? ''}, at ${what.address}`;
      case 'ready':
        return `cluster: ${what.podName} is Ready`;
      case 'gone':
        return `cluster: ${what.podName} is gone, ${what.address} with it`;
      case 'fault':
        return `cluster: DNS ${what.isOn ? 'starts' : 'stops'} to answer ${what.what}`;
      case 'late':
        return `LATE: ${what.what}`;
      case 'event':
        if (from !== 'observer' || what.name === 'topologyChanged') return null;
        return `${what.name} ${what.podName ?? 'nobody'}${where(what)} (${what.cause})`;
      case 'freshness':
        return `answers are ${what.state}; nothing else changes`;
      case 'contact':
        return from === 'observer' ? this.#contact(from, what) : null;
      default:
        return null;
    }
  }

  #right({ what }: Report): string | null {
    if (what.kind === 'contact') return this.#contact('loop', what);
    if (what.kind !== 'turn') return null;
    const { primary, peers, error } = what;
    const said = `${primary === null ? 'nobody there' : `primary ${primary}, pods ${Object.keys(peers).join(' ')}`}${error === null ? '' : ` (${error})`}`;
    const all = `${said} ${JSON.stringify(peers)}`;
    if (all === this.#loopSaid) return null;
    this.#loopSaid = all;
    return said;
  }

  /** Only when it is news: a connection that went wrong in another way than the one before it. */
  #contact(who: string, what: { target: string; address: string; answered: string | null }): string | null {
    const { target, address, answered } = what;
    const topic = `${who} ${target}`;
    if (answered === target) {
      this.#trouble.delete(topic);
      return null;
    }
    if (this.#trouble.has(topic) && this.#trouble.get(topic) === answered) return null;
    this.#trouble.set(topic, answered);
    if (answered === null) return `${target} at ${address}: nobody answers`;
    return `WRONG POD: ${target} at ${address} is ${answered}`;
  }
}

function colourOf(text: string): Colour | null {
  if (/^WRONG POD|^LATE/.test(text)) return 'red';
  if (/nobody|stale/.test(text)) return 'yellow';
  if (text.startsWith('cluster: ')) return 'gray';
  return /^(?:peer|primary|presence|role)[A-Z]/.test(text) ? 'cyan' : null;
}

function where({
  name,
  address,
  presence,
}: {
  name: string;
  address?: string | null;
  presence?: string | null;
}): string {
  if (name === 'peerAdded' || name === 'peerMoved') return address == null ? ' no address' : ` at ${address}`;
  return name === 'presenceChanged' ? ` ${presence ?? ''}` : '';
}
