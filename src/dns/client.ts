import type { Failure } from '../errors.ts';
import type { Question, ResourceRecord } from './message.ts';

/** The name exists and has records of the type asked. */
export interface Found {
  readonly kind: 'found';
  readonly question: Question;
  /** Records of the type asked, at the end of the chain of CNAMEs (of the question's own name where there is none). */
  readonly records: readonly ResourceRecord[];
  /** The additional section, without OPT: glue. */
  readonly additionals: readonly ResourceRecord[];
  /** The lowest TTL among `records`, in seconds. */
  readonly ttlSeconds: number;
  readonly server: string;
  readonly transport: 'udp' | 'tcp';
  /** Size of the response in bytes. */
  readonly bytes: number;
}

/** The name does not exist (`nxdomain`), or has no record of that type (`nodata`). */
export interface Absent {
  readonly kind: 'nxdomain' | 'nodata';
  readonly question: Question;
  /** min(SOA TTL, SOA minimum), taken as 1 to 30 s; 5 s without an SOA. */
  readonly negativeTtlSeconds: number;
  readonly server: string;
}

/** Nothing is known about the name. Never absence. */
export interface Failed {
  readonly kind: 'failed';
  readonly question: Question;
  readonly failure: Failure;
  /** What a truncated answer did bring (`reason: 'truncated'`), else `null`. It proves presence, never absence. */
  readonly partial: Found | null;
}

/** How a DNS question ended. */
export type Outcome = Found | Absent | Failed;

/** Asks the cluster's DNS. */
export interface DnsClient {
  /**
   * Asks one question of the servers in order, over UDP with EDNS 1232 and, where the answer is truncated, TCP.
   * Never rejects for what servers or the network do: that is `failed`.
   *
   * @param deadline - `performance.now()` value after which the outcome is `failed` with reason `timeout`
   * @throws `signal.reason` when the signal aborts
   */
  ask(question: Question, options: { readonly deadline: number; readonly signal?: AbortSignal }): Promise<Outcome>;
  close(): void;
}
