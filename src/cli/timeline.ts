import { inspect } from 'node:util';
import type { Invitation } from './invitation.ts';
import { linesOf } from './invitation.ts';
import type { Report, Resolved } from './report.ts';
import type { Verdict } from './verdict.ts';

const columnWidth = 52;

type Colour = 'bold' | 'green' | 'red' | 'yellow' | 'cyan' | 'gray';

/** How the timeline is written. */
export interface TimelineOptions {
  /** One JSON object a line, in place of text. */
  readonly isJson: boolean;
  readonly hasColour: boolean;
  /** Whether there is room for two columns now: a terminal can change its size. */
  readonly isWide: () => boolean;
  readonly write: (line: string) => void;
}

/**
 * Writes the story, one line a fact: what concerns the library at the left, today's loop at the right; in a narrow
 * terminal one below the other.
 */
export class Timeline {
  readonly #options: TimelineOptions;
  #loopSaid = '';
  #outsiderSaid = '';
  readonly #trouble = new Map<string, string | null>();

  constructor(options: TimelineOptions) {
    this.#options = options;
  }

  intro(lines: readonly string[]): void {
    if (this.#options.isJson) return;
    for (const line of [...lines, '']) this.#write(line);
    if (this.#options.isWide()) {
      this.#write(`${' '.repeat(7)}${'stateful-peers'.padEnd(columnWidth)}| today's loop`);
    }
  }

  show(report: Report): void {
    if (this.#options.isJson) {
      this.#write(JSON.stringify(report));
      return;
    }
    const { what, from, at } = report;
    const seconds = (at / 1_000).toFixed(1).padStart(5);
    const line = (text: string): void => this.#write(`${seconds}  ${text}`);
    if (what.kind === 'act') this.#write(this.#paint('bold', `\n${seconds}  == ${what.title}`));
    const isWide = this.#options.isWide();
    const left = this.#left(report);
    if (left !== null) line(isWide ? `${this.#paint(colourOf(left), left.padEnd(columnWidth))}|` : this.#painted(left));
    const right = from === 'loop' || from === 'writer' ? this.#right(report) : null;
    if (right !== null) line(`${isWide ? `${' '.repeat(columnWidth)}| ` : "today's loop: "}${this.#painted(right)}`);
  }

  verdict(verdict: Verdict): void {
    if (this.#options.isJson) {
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

  /** How a reader's own process takes part, when the cluster stays up. */
  invitation(invitation: Invitation): void {
    if (this.#options.isJson) {
      this.#write(JSON.stringify({ kind: 'invitation', ...invitation }));
      return;
    }
    for (const line of ['', ...linesOf(invitation), '']) this.#write(line);
  }

  #write(line: string): void {
    this.#options.write(line);
  }

  #painted(text: string): string {
    return this.#paint(colourOf(text), text);
  }

  #paint(colour: Colour | null, text: string): string {
    if (!this.#options.hasColour || colour === null) return text;
    // Not util.styleText, which from Node.js 22.13 on asks the terminal again.
    const [on, off] = inspect.colors[colour] ?? [0, 0];
    return `\u001b[${on}m${text}\u001b[${off}m`;
  }

  #left({ what, from }: Report): string | null {
    switch (what.kind) {
      case 'hello':
        return `${from}: I am ${what.podName ?? '?'} of ${what.service.split('.')[0] ?? ''}, at ${what.address}`;
      case 'ready':
        return `cluster: ${what.podName} is Ready`;
      case 'unready':
        return `cluster: ${what.podName} is no longer Ready`;
      case 'gone':
        return `cluster: ${what.podName} is gone, ${what.address} with it`;
      case 'fault':
        return `cluster: DNS ${what.isOn ? 'starts' : 'stops'} to answer ${what.what}`;
      case 'skipped':
        return `cluster: the act '${what.name}' is left out: ${what.why}`;
      case 'late':
        return `LATE: ${what.what}`;
      case 'event':
        if (from !== 'observer' || what.name === 'topologyChanged') return null;
        return `${what.name} ${what.podName ?? 'nobody'}${where(what)} (${what.cause})`;
      case 'freshness':
        return `answers are ${what.state}; nothing else changes`;
      case 'contact':
        return from === 'observer' ? this.#contact(from, what) : null;
      case 'resolved':
        return this.#outsider(what);
      case 'write':
        return what.writer === 'following' ? this.#written(what) : null;
      case 'trouble':
        return `${from}: ${what.what}`;
      case 'entries':
        return `cluster: ${what.podName} has ${what.ids.length} entries`;
      default:
        return null;
    }
  }

  /** Only when the answer is another one. */
  #outsider({ name, addresses, error }: Resolved): string | null {
    const said = addresses.length === 0 ? `nobody (${error ?? 'an empty answer'})` : addresses.join(' ');
    if (said === this.#outsiderSaid) return null;
    this.#outsiderSaid = said;
    return `outsider: ${name.split('.').slice(0, 2).join('.')}... is ${said}`;
  }

  #right({ what }: Report): string | null {
    if (what.kind === 'contact') return this.#contact('loop', what);
    if (what.kind === 'write') return what.writer === 'plain' ? this.#written(what) : null;
    if (what.kind !== 'turn') return null;
    const { primary, peers, error } = what;
    const said = `${primary === null ? 'nobody there' : `primary ${primary}, pods ${Object.keys(peers).join(' ')}`}${error === null ? '' : ` (${error})`}`;
    const all = `${said} ${JSON.stringify(peers)}`;
    if (all === this.#loopSaid) return null;
    this.#loopSaid = all;
    return said;
  }

  /** Only when it is news: a write that ended in another way than the one before it. */
  #written({ writer, status, pod, error }: Extract<Report['what'], { readonly kind: 'write' }>): string | null {
    const topic = `writes ${writer}`;
    const trouble = status === 200 ? null : status === null ? (error ?? '') : `${status} by ${pod ?? '?'}`;
    const before = this.#trouble.get(topic) ?? null;
    if (trouble === before) return null;
    this.#trouble.set(topic, trouble);
    const who = writer === 'plain' ? 'plain Agent' : 'writer';
    return trouble === null ? `${who}: writes are taken again` : `${who}: a write failed: ${trouble}`;
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
