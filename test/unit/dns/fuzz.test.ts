import assert from 'node:assert/strict';
import { decodeCounting, decodeMessage } from '../../../src/dns/decode.ts';
import { MalformedMessageError } from '../../../src/dns/message.ts';
import { crafted, samplePackets, seeded } from './packets.ts';

/** The decoder's promise: no byte costs more than this. */
const stepsPerByte = 64;

describe('No byte sequence hangs, crashes or slows the decoder', function () {
  this.timeout(60_000);

  it('100,000 random and mutated packets are read or refused with MalformedMessageError, in bounded steps', () => {
    const seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
    const random = seeded(seed);
    const samples = samplePackets();
    let read = 0;
    for (let round = 0; round < 100_000; round += 1) {
      const packet = round % 4 === 0 ? randomPacket(random) : mutated(samples, random);
      try {
        const { message, steps } = decodeCounting(packet);
        if (message !== null) read += 1;
        assert.ok(steps <= stepsPerByte * packet.length, `${steps} steps`);
      } catch (error) {
        const bytes = Buffer.from(packet).toString('hex');
        assert.fail(`FUZZ_SEED=${seed}, round ${round}, packet ${bytes}: ${String(error)}`);
      }
    }
    // Else nothing but the header check was tried.
    assert.ok(read > 5_000, `FUZZ_SEED=${seed}: ${read} packets were read`);
  });

  const costly: readonly (readonly [string, Buffer, least: number])[] = [
    ['names that overlap', overlappingNames(), 500_000],
    ['one long name that all records point at', repeatedLongName(), 10_000],
    ['pointers to pointers', pointerLadder(), 10_000],
  ];
  for (const [what, packet, least] of costly) {
    it(`the largest packet of ${what} stays within the bound`, () => {
      assert.ok(packet.length > 60_000 && packet.length <= 0xffff);
      const { steps } = decodeCounting(packet);
      assert.ok(steps <= stepsPerByte * packet.length, `${steps} steps for ${packet.length} bytes`);
      // Else it was refused before it cost anything.
      assert.ok(steps >= least, `${steps} steps`);
    });
  }

  it('a failure is a MalformedMessageError with the place where reading stopped', () => {
    assert.throws(
      () => decodeMessage(new Uint8Array(0)),
      (error) => error instanceof MalformedMessageError && error.offset === 0,
    );
  });
});

function randomPacket(random: (below: number) => number): Uint8Array {
  const packet = Uint8Array.from({ length: random(random(8) === 0 ? 2_000 : 120) }, () => random(256));
  // Counts that are small enough to be believed, mostly.
  if (random(3) > 0) for (let at = 4; at < 12 && at < packet.length; at += 1) packet[at] = at % 2 === 0 ? 0 : random(3);
  return packet;
}

function mutated(samples: readonly Uint8Array[], random: (below: number) => number): Uint8Array {
  const sample = samples[random(samples.length)] ?? new Uint8Array(0);
  let packet = Uint8Array.from(sample);
  for (let change = random(4); change >= 0; change -= 1) {
    const at = random(packet.length);
    switch (random(6)) {
      case 0:
        packet = packet.slice(0, at);
        break;
      case 1:
        packet[at] = 0xc0;
        break;
      case 2:
        packet = Uint8Array.from([...packet.slice(0, at), ...packet.slice(at + 1)]);
        break;
      case 3:
        packet = Uint8Array.from([...packet.slice(0, at), random(256), ...packet.slice(at)]);
        break;
      default:
        packet[at] = random(256);
    }
    if (packet.length === 0) break;
  }
  return packet;
}

/** A field of names of short labels, and NS records whose names start all over it. */
function overlappingNames(): Buffer {
  const field = Array.from({ length: 16_000 }, (_, at) => (at % 240 < 2 ? 0 : 1));
  const opaque = [0, 0, 65, 0, 1, 0, 0, 0, 0, field.length >> 8, field.length & 255, ...field];
  const records = Array.from({ length: 3_500 }, (_, index) => {
    const [owner, target] = [30 + 4 * index, 32 + 4 * index];
    return [0xc0 | (owner >> 8), owner & 255, 0, 2, 0, 1, 0, 0, 0, 0, 0, 2, 0xc0 | (target >> 8), target & 255];
  });
  return crafted([1 + records.length, 0, 0], opaque, ...records);
}

/** One long name, and as many records as fit that point at it. */
function repeatedLongName(): Buffer {
  const long = [...Array.from({ length: 126 }, () => [1, 97]).flat(), 0];
  const first = [...long, 0, 99, 0, 1, 0, 0, 0, 0, 0, 0];
  const records = Array.from({ length: 5_400 }, () => [0xc0, 19, 0, 99, 0, 1, 0, 0, 0, 0, 0, 0]);
  return crafted([1 + records.length, 0, 0], first, ...records);
}

/** Pointers to pointers, 126 to a name. */
function pointerLadder(): Buffer {
  const rungs = Array.from({ length: 126 }, (_, index) => {
    const target = index === 0 ? 12 : 30 + 2 * (index - 1);
    return [0xc0 | (target >> 8), target & 255];
  }).flat();
  const opaque = [0, 0, 65, 0, 1, 0, 0, 0, 0, rungs.length >> 8, rungs.length & 255, ...rungs];
  const last = 30 + rungs.length - 2;
  const records = Array.from({ length: 5_000 }, () => [0xc0 | (last >> 8), last & 255, 0, 99, 0, 1, 0, 0, 0, 0, 0, 0]);
  return crafted([1 + records.length, 0, 0], opaque, ...records);
}
