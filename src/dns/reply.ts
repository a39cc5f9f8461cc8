import type { Failure } from '../errors.ts';
import { decodeEnvelope, decodeMessage } from './decode.ts';
import type { Message, Question } from './message.ts';
import { MalformedMessageError, Rcode } from './message.ts';

/** What came back for a query. `cut`: a response that ended early, without the TC flag. */
export type Reply =
  | { readonly kind: 'message'; readonly message: Message; readonly bytes: number }
  | { readonly kind: 'cut'; readonly detail: string }
  | { readonly kind: 'failed'; readonly reason: Failure['reason']; readonly detail: string };

/**
 * Reads a packet that may answer the query. Pure.
 *
 * @returns `undefined` for a packet that is somebody else's: another id, question or opcode, no response, or a question
 * that cannot be read. Only error responses may lack the question section; they have the id alone to show.
 */
export function readReply(packet: Uint8Array, id: number, question: Question): Reply | undefined {
  // First of all, so that a flood of packets costs no more than looking at them.
  if (packet.length < 12 || packet[0] !== id >> 8 || packet[1] !== (id & 0xff)) return undefined;
  const envelope = wellFormed(() => decodeEnvelope(packet));
  if (envelope instanceof MalformedMessageError) return undefined;
  const { isResponse, opcode, questions } = envelope;
  const [asked] = questions;
  if (!isResponse || opcode !== 0 || questions.length > 1) return undefined;
  if (asked !== undefined && (asked.name !== question.name || asked.type !== question.type)) return undefined;

  const message = wellFormed(() => decodeMessage(packet));
  if (message instanceof MalformedMessageError) {
    if (asked === undefined) return undefined;
    if (message.isCutShort) return { kind: 'cut', detail: message.message };
    return { kind: 'failed', reason: 'malformed', detail: message.message };
  }
  if (asked === undefined && message.rcode === Rcode.NOERROR) return undefined;
  return { kind: 'message', message, bytes: packet.length };
}

function wellFormed<T>(decode: () => T): T | MalformedMessageError {
  try {
    return decode();
  } catch (error) {
    if (error instanceof MalformedMessageError) return error;
    throw error;
  }
}
