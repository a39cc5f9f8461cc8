import { Writable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { fetch as undiciFetch, pipeline, request, stream } from 'undici';

/** What a caller may ask for. */
export interface Question {
  readonly method?: Dispatcher.HttpMethod;
  readonly body?: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** What came back. */
export interface Response {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** One way to send a request through a dispatcher. */
export interface Caller {
  readonly name: string;
  /** Whether its body can be sent twice. */
  readonly hasStreamBody: boolean;
  readonly call: (dispatcher: Dispatcher, url: string, question?: Question) => Promise<Response>;
}

/** Every way: undici's functions, both fetches, and both styles of handlers. */
export const callers: readonly Caller[] = [
  { name: 'request', hasStreamBody: false, call: byRequest },
  { name: 'request with a callback', hasStreamBody: false, call: byCallback },
  { name: 'stream', hasStreamBody: false, call: byStream },
  { name: 'pipeline', hasStreamBody: true, call: byPipeline },
  { name: 'undici fetch', hasStreamBody: false, call: byUndiciFetch },
  { name: 'built-in fetch', hasStreamBody: false, call: byBuiltInFetch },
  { name: 'dispatch, older style', hasStreamBody: false, call: byOlderDispatch },
  { name: 'dispatch, newer style', hasStreamBody: false, call: byNewerDispatch },
];

async function byRequest(dispatcher: Dispatcher, url: string, question: Question = {}): Promise<Response> {
  const { statusCode, headers, body } = await request(url, { dispatcher, ...question });
  return { status: statusCode, headers, text: await body.text() };
}

async function byCallback(dispatcher: Dispatcher, url: string, question: Question = {}): Promise<Response> {
  const { origin, pathname, search } = new URL(url);
  const { method = 'GET', ...rest } = question;
  const answer = await new Promise<Dispatcher.ResponseData>((resolve, reject) => {
    dispatcher.request({ origin, path: pathname + search, method, ...rest }, (error, data) => {
      if (error === null) resolve(data);
      else reject(error);
    });
  });
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
}

async function byStream(dispatcher: Dispatcher, url: string, question: Question = {}): Promise<Response> {
  const chunks: Buffer[] = [];
  let head: { statusCode: number; headers: Response['headers'] } = { statusCode: 0, headers: {} };
  await stream(url, { dispatcher, method: 'GET', ...question }, ({ statusCode, headers }) => {
    head = { statusCode, headers };
    return new Writable({
      write(chunk: Buffer, _encoding, done): void {
        chunks.push(chunk);
        done();
      },
    });
  });
  return { status: head.statusCode, headers: head.headers, text: Buffer.concat(chunks).toString() };
}

async function byPipeline(dispatcher: Dispatcher, url: string, question: Question = {}): Promise<Response> {
  const { body, method = 'GET', ...rest } = question;
  let head: { statusCode: number; headers: Response['headers'] } = { statusCode: 0, headers: {} };
  const duplex = pipeline(url, { dispatcher, method, ...rest }, ({ statusCode, headers, body: answer }) => {
    head = { statusCode, headers };
    return answer;
  });
  duplex.end(body);
  const chunks: Buffer[] = [];
  for await (const chunk of duplex) chunks.push(chunk as Buffer);
  return { status: head.statusCode, headers: head.headers, text: Buffer.concat(chunks).toString() };
}

async function byUndiciFetch(dispatcher: Dispatcher, url: string, question: Question = {}): Promise<Response> {
  const response = await undiciFetch(url, { dispatcher, ...question });
  return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() };
}

async function byBuiltInFetch(dispatcher: Dispatcher, url: string, question: Question = {}): Promise<Response> {
  const response = await fetch(url, { dispatcher, ...question } as unknown as RequestInit);
  return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() };
}

/* eslint-disable @typescript-eslint/no-deprecated -- the older style of handlers is what this is about */

function byOlderDispatch(dispatcher: Dispatcher, url: string, question: Question = {}): Promise<Response> {
  const { origin, pathname, search } = new URL(url);
  const { method = 'GET', signal, ...rest } = question;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let status = 0;
    let headers: Record<string, string> = {};
    dispatcher.dispatch(
      { origin, path: pathname + search, method, ...rest },
      {
        onConnect(abort) {
          const end = (): void => {
            abort(signal?.reason as Error);
          };
          if (signal?.aborted === true) end();
          else signal?.addEventListener('abort', end, { once: true });
        },
        onHeaders(statusCode, raw) {
          status = statusCode;
          headers = Object.fromEntries(pairs(raw));
          return true;
        },
        onData(chunk) {
          chunks.push(chunk);
          return true;
        },
        onComplete() {
          resolve({ status, headers, text: Buffer.concat(chunks).toString() });
        },
        onError: reject,
      },
    );
  });
}

/* eslint-enable @typescript-eslint/no-deprecated */

function byNewerDispatch(dispatcher: Dispatcher, url: string, question: Question = {}): Promise<Response> {
  const { origin, pathname, search } = new URL(url);
  const { method = 'GET', signal, ...rest } = question;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let status = 0;
    let headers: Response['headers'] = {};
    dispatcher.dispatch(
      { origin, path: pathname + search, method, ...rest },
      {
        onRequestStart(controller) {
          const end = (): void => {
            controller.abort(signal?.reason as Error);
          };
          if (signal?.aborted === true) end();
          else signal?.addEventListener('abort', end, { once: true });
        },
        onResponseStart(_controller, statusCode, given) {
          status = statusCode;
          headers = given;
        },
        onResponseData(_controller, chunk) {
          chunks.push(chunk);
        },
        onResponseEnd() {
          resolve({ status, headers, text: Buffer.concat(chunks).toString() });
        },
        onResponseError(_controller, error) {
          reject(error);
        },
      },
    );
  });
}

function pairs(raw: readonly (Buffer | string)[]): [string, string][] {
  const found: [string, string][] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    found.push([String(raw[index]).toLowerCase(), String(raw[index + 1])]);
  }
  return found;
}
