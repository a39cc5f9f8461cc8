import { encodeMessage } from '../dns/encode.ts';
import type { Message } from '../dns/message.ts';
import { Rcode } from '../dns/message.ts';
import type { Garbage } from './dns-faults.ts';

/**
 * Spoils a response. Header and question stay right (but for `wrong-id`), so that a client sees whose answer it is.
 *
 * @param questionEnd - where the question section ends
 */
export function spoil(bytes: Uint8Array, questionEnd: number, garbage: Garbage, random: () => number): Uint8Array {
  switch (garbage) {
    case 'cut-short': {
      const rest = bytes.length - questionEnd;
      return bytes.subarray(0, rest === 0 ? questionEnd - 1 : questionEnd + Math.floor(rest / 2));
    }
    case 'wrong-id': {
      const spoilt = Uint8Array.from(bytes);
      spoilt[0] = (spoilt[0] ?? 0) ^ 0xff;
      return spoilt;
    }
    case 'malformed': {
      const noise = Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256));
      // A name that is a pointer to itself.
      noise.set([0xc0 | (questionEnd >> 8), questionEnd & 0xff]);
      const spoilt = Uint8Array.from([...bytes.subarray(0, questionEnd), ...noise]);
      // One answer is announced, nothing else.
      spoilt.set([0, 1, 0, 0, 0, 0], 6);
      return spoilt;
    }
  }
}

/** What somebody would send who wants to be believed, and guesses at ids or questions. */
export function forgeries(response: Message, random: () => number): Uint8Array[] {
  const lie = { ttlSeconds: 86_400, type: 'A', address: '203.0.113.66' } as const;
  const name = response.questions[0]?.name ?? '';
  const guesses = [1, 2, 3].map((step) => (response.id + step + Math.floor(random() * 60_000)) & 0xffff);
  const otherName = 'forged.invalid';
  const messages: Partial<Message>[] = [
    ...guesses.filter((id) => id !== response.id).map((id) => ({ id, answers: [{ ...lie, name }] })),
    { questions: [{ name: otherName, type: 'A' }], answers: [{ ...lie, name: otherName }] },
  ];
  return messages.map((message) =>
    encodeMessage({ ...response, rcode: Rcode.NOERROR, authorities: [], additionals: [], ...message }),
  );
}
